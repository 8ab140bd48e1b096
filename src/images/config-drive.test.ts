import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { loadConfig } from '#config/load.ts'
import { type ConfigDriveParts, configDrive } from './config-drive.ts'

const dir = mkdtempSync(join(tmpdir(), 'ferrite-drive-test-'))
after(() => rmSync(dir, { recursive: true, force: true }))
const config = await loadConfig({ overrides: { conductor: { file_url_allowed_paths: [dir] } } })

const node = { uuid: '0b1c2d3e-0000-4111-8222-333344445555', name: null as string | null }
const make = (given: string | ConfigDriveParts, name: string | null = null) =>
  configDrive(given, { node: { ...node, name }, config, signal: new AbortController().signal })

const unpack = (text: string) => gunzipSync(Buffer.from(text, 'base64'))
/** Files of a drive as a system reads them. */
function files(text: string): Record<string, string> {
  const iso = join(dir, 'drive.iso')
  const tree = mkdtempSync(join(dir, 'tree-'))
  writeFileSync(iso, unpack(text))
  assert.equal(execFileSync('blkid', ['-o', 'value', '-s', 'LABEL', iso]).toString().trim(), 'config-2')
  execFileSync('xorriso', ['-osirrox', 'on', '-indev', iso, '-extract', '/', tree], { stdio: 'ignore' })
  const names = execFileSync('find', ['.', '-type', 'f'], { cwd: tree }).toString().trim().split('\n').sort()
  return Object.fromEntries(names.map(name => [name.slice(2), readFileSync(join(tree, name), 'utf8')]))
}

test('an object becomes a file system in every version of the format', async () => {
  const drive = await make(
    {
      meta_data: { hostname: 'lit' },
      network_data: { links: [] },
      user_data: '#!/bin/sh\n',
      vendor_data: { 'cloud-init': '#cloud-config' },
    },
    'node-1',
  )
  const latest = {
    'meta_data.json': `{"uuid":"${node.uuid}","name":"node-1","hostname":"lit"}`,
    'network_data.json': '{"links":[]}',
    user_data: '#!/bin/sh\n',
    'vendor_data2.json': '{"cloud-init":"#cloud-config"}',
  }
  const versions = ['2012-08-10', 'latest']
  assert.deepEqual(
    files(drive),
    Object.fromEntries(
      versions.flatMap(version => Object.entries(latest).map(([name, text]) => [`openstack/${version}/${name}`, text])),
    ),
  )
})

test('a node without a name has none in its drive; user data may be JSON', async () => {
  const found = files(await make({ user_data: [{ a: 1 }] }))
  assert.equal(found['openstack/latest/meta_data.json'], `{"uuid":"${node.uuid}"}`)
  assert.equal(found['openstack/latest/user_data'], '[{"a":1}]')
})

test('URLs pass, finished drives too, without their line breaks', async () => {
  assert.equal(await make('https://example.com/drive.iso'), 'https://example.com/drive.iso')
  const text = gzipSync(Buffer.alloc(5000, 7)).toString('base64')
  assert.equal(await make(text.replace(/.{20}/g, '$&\n')), text)
})

test('a file of this host may be the file system, packed, or base64 of that', async () => {
  const drive = Buffer.alloc(70_000, 'drive \x01')
  const file = join(dir, 'given')
  for (const content of [drive, gzipSync(drive), gzipSync(drive).toString('base64')]) {
    writeFileSync(file, content)
    assert.ok(unpack(await make(`file://${file}`)).equals(drive))
  }
})

for (const [what, given, message] of [
  ['no base64', '%%%', /no URL of http, https or file, and no base64/],
  ['another kind of URL', 'ftp://example.com/x', /no URL of http, https or file/],
  ['broken gzip', gzipSync(Buffer.alloc(5000)).subarray(0, 20).toString('base64'), /begins as gzip, but/],
  ['more than 64 MiB', gzipSync(Buffer.alloc(64 * 1024 * 1024 + 1)).toString('base64'), /more than the 67108864 bytes/],
  [
    'a file that is not allowed',
    'file:///usr/bin/env',
    /not below a directory of \[conductor\] file_url_allowed_paths/,
  ],
  ['a file that is not there', `file://${dir}/nothing`, /there is no such file/],
] as const) {
  test(`${what} is refused`, async () => {
    await assert.rejects(make(given), { message })
  })
}
