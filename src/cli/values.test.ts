import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { configDrive } from './config-drive.ts'
import { testTerminal } from './test-terminal.ts'
import { document, pair, pairs, yesOrNo } from './values.ts'

let folder = ''
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-values-'))
})
after(() => rmSync(folder, { recursive: true }))

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const read: [text: string, value: unknown][] = [
  ['k=', ''],
  ['k=plain text', 'plain text'],
  ['k=5', 5],
  ['k="5"', '5'],
  ['k=1.5', 1.5],
  ['k=true', true],
  ['k=True', 'True'],
  ['k=null', null],
  ['k={"a": [1]}', { a: [1] }],
  ['k=a=b', 'a=b'],
  ['k=007', '007'],
  ['k=12345678901234567890', '12345678901234567890'],
]
for (const [text, value] of read) {
  test(`pair ${text}`, () => assert.deepEqual(pair(text), ['k', value]))
}

test('a pair needs an equals sign', () => {
  assert.throws(() => pairs(['a=1', 'b']), /Cannot read "b": no "=" in it/)
})

test('a document is typed, in a file, or on standard input', async () => {
  const terminal = testTerminal({ input: '- step: a\n- step: b\n' })
  const steps = [{ step: 'a' }, { step: 'b' }]
  assert.deepEqual(await document('steps', '[{"step": "a"}, {"step": "b"}]', terminal), steps)
  assert.deepEqual(await document('steps', '-', terminal), steps)
  assert.deepEqual(await document('steps', file('steps.json', JSON.stringify(steps)), terminal), steps)
  assert.deepEqual(await document('steps', file('steps.yaml', '- step: a\n- {step: b}\n'), terminal), steps)
  await assert.rejects(document('steps', 'nothing', terminal), /Cannot read steps: "nothing" is no file/)
  await assert.rejects(document('steps', file('bad', '{ a: ]'), terminal), /neither JSON nor YAML/)
})

test('what may hold a secret is not repeated', async () => {
  const broken = '{"user_data": "hush", "password": hush ]'
  const says = async (work: () => unknown) => {
    const { message } = await Promise.try(work).then(
      () => assert.fail('it was read'),
      (error: Error) => error,
    )
    assert.ok(!message.includes('hush'), message)
    return message
  }
  const terminal = testTerminal({ input: broken })
  assert.match(await says(() => document('steps', broken, terminal)), /no JSON either/)
  assert.match(await says(() => document('steps', '-', terminal)), /neither JSON nor YAML/)
  assert.match(await says(() => document('steps', file('steps', broken), terminal)), /neither JSON nor YAML/)
  assert.match(await says(() => configDrive(broken)), /Cannot read the config drive "\.\.\."/)
  assert.match(await says(() => pair('redfish_password:hush')), /Cannot read "redfish_password\.\.\."/)
})

test('booleans as the API spells them', () => {
  assert.equal(yesOrNo('x', 'Yes'), true)
  assert.equal(yesOrNo('x', 'off'), false)
  assert.throws(() => yesOrNo('x', '2'), /Wrong value for x: found "2"/)
})

test('a config drive is an object, URL, packed image or ISO', async () => {
  const packed = gzipSync('an image').toString('base64')
  assert.deepEqual(await configDrive('{"meta_data": {}}'), { meta_data: {} })
  assert.equal(await configDrive('https://files/drive'), 'https://files/drive')
  assert.equal(await configDrive(packed), packed)
  assert.deepEqual(await configDrive(file('drive.json', '{"user_data": "x"}')), { user_data: 'x' })
  assert.equal(await configDrive(file('drive.b64', `${packed}\n`)), packed)
  assert.equal(await configDrive(file('drive.gz', gzipSync('an image'))), packed)
  const iso = Buffer.alloc(34 * 1024)
  iso.write('CD001', 32769, 'latin1')
  const sent = await configDrive(file('drive.iso', iso))
  assert.deepEqual(gunzipSync(Buffer.from(String(sent), 'base64')), iso)
  await assert.rejects(configDrive(file('other', 'hello')), /expected a JSON object, an ISO image/)
  await assert.rejects(configDrive('/no/such/file'), /Cannot read the config drive/)
})

test('a directory becomes the object of its files', async () => {
  const drive = join(folder, 'drive')
  const latest = join(drive, 'openstack', 'latest')
  mkdirSync(latest, { recursive: true })
  await assert.rejects(configDrive(drive), /expected files in .*openstack\/latest/)
  writeFileSync(join(latest, 'meta_data.json'), '{"hostname": "web1"}')
  writeFileSync(join(latest, 'user_data'), '#cloud-config\n')
  assert.deepEqual(await configDrive(drive), { meta_data: { hostname: 'web1' }, user_data: '#cloud-config\n' })
  writeFileSync(join(latest, 'key.pem'), '')
  await assert.rejects(configDrive(drive), /Cannot use .*key.pem in a config drive/)
})
