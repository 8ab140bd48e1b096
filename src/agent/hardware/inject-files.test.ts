import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { type LoopDisk, makeLoopDisk, needsRoot } from '../loop-disk.ts'
import { filled } from './inject-files.ts'
import { runStep } from './test-run.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')

describe('injecting files', { skip: needsRoot }, () => {
  let dir: string
  let disk: LoopDisk
  /** Partition 1: nothing known; 2: `boot`; 3: `etc` and links out of the image. */
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'ferrite-inject-'))
    disk = makeLoopDisk(64)
    execFileSync('sfdisk', ['--quiet', disk.device], { input: 'label: gpt\nsize=4M\nsize=16M\nsize=16M\n' })
    execFileSync('partx', ['--update', disk.device])
    mkdirSync(join(dir, 'boot/boot'), { recursive: true })
    mkdirSync(join(dir, 'root/etc'), { recursive: true })
    writeFileSync(join(dir, 'root/etc/motd'), 'a long text of before')
    symlinkSync('/etc', join(dir, 'root/etc/outside'))
    symlinkSync('/etc/passwd', join(dir, 'root/etc/passwd'))
    symlinkSync('../etc', join(dir, 'root/etc/same'))
    for (const [name, number] of [
      ['boot', 2],
      ['root', 3],
    ] as const) {
      execFileSync('mkfs.ext4', ['-qF', '-d', join(dir, name), `${disk.device}p${number}`])
    }
    mkdirSync(join(dir, 'mount'))
  })
  afterEach(() => {
    disk.remove()
    rmSync(dir, { recursive: true })
  })

  const node = (inject_files: unknown = []) => ({
    uuid: 'the-uuid',
    properties: { inject_files, root_device: { name: disk.device } },
  })
  const run = (args: Record<string, unknown>, property: unknown = []) =>
    runStep({ devices: [disk.device], stateDir: dir }, 'inject_files', node(property), args)

  function look<T>(number: number, see: (root: string) => T): T {
    execFileSync('mount', ['-o', 'ro', `${disk.device}p${number}`, join(dir, 'mount')])
    try {
      return see(join(dir, 'mount'))
    } finally {
      execFileSync('umount', [join(dir, 'mount')])
    }
  }

  test('into the partition that has the folder, or the one that is named; modes, owners, folders, deletion', async () => {
    const files = [
      { path: '/etc/motd', content: base64('hello') },
      { path: '/etc/app.d/deep/key', content: base64('secret'), mode: 0o400, dirmode: 0o700, owner: 7, group: 8 },
      { path: '/etc/same/by-link', content: base64('linked') },
      { path: '/boot/config', content: base64('quiet') },
      { path: '/topmost', content: base64('top'), partition: 3 },
      { path: '/by-device', content: base64(''), partition: `${disk.device}p2` },
      { path: '/etc/never/was', deleted: true },
    ]
    const property = [{ path: '/etc/gone', content: base64('soon') }]
    assert.deepEqual(await run({ files: [...files, { path: '/etc/gone', deleted: true }] }, property), [
      '/etc/gone',
      ...files.map(({ path }) => path),
      '/etc/gone',
    ])
    look(3, root => {
      const read = (path: string) => readFileSync(join(root, path), 'utf8')
      assert.deepEqual(['etc/motd', 'etc/by-link', 'topmost'].map(read), ['hello', 'linked', 'top'])
      const { mode, uid, gid } = statSync(join(root, 'etc/app.d/deep/key'))
      assert.deepEqual([mode & 0o7777, uid, gid], [0o400, 7, 8])
      assert.equal(statSync(join(root, 'etc/app.d/deep')).mode & 0o7777, 0o700)
      for (const path of ['etc/gone', 'etc/never']) assert.throws(() => statSync(join(root, path)), /ENOENT/)
    })
    look(2, root => {
      assert.equal(readFileSync(join(root, 'boot/config'), 'utf8'), 'quiet')
      assert.equal(statSync(join(root, 'by-device')).size, 0)
    })
  })

  test('a link of the image leads nowhere else; one in the place of a file is replaced', async () => {
    const before = readFileSync('/etc/passwd')
    await assert.rejects(run({ files: [{ path: '/etc/outside/ferrite-test', content: base64('x') }] }), {
      type: 'CommandExecutionError',
      message: /^Injecting \/etc\/outside\/ferrite-test: \/etc\/outside is a link that leads out of its partition/,
    })
    assert.throws(() => statSync('/etc/ferrite-test'), /ENOENT/)
    await run({ files: [{ path: '/etc/passwd', content: base64('x') }] })
    assert.ok(readFileSync('/etc/passwd').equals(before))
    assert.equal(
      look(3, root => readFileSync(join(root, 'etc/passwd'), 'utf8')),
      'x',
    )
  })

  test('what is wrong is named at once, and nothing is changed', async () => {
    const good = { path: '/etc/motd', content: base64('changed') }
    for (const [bad, message] of [
      ['x', /expected a list/],
      [[{ path: 'etc/x', content: '' }], /etc\/x: \/path/],
      [[{ path: '/etc/x/', content: '' }], /\/path/],
      [[{ path: '/etc/../x', content: '' }], /leads upwards/],
      [[{ path: '/x', content: '' }], /takes a partition/],
      [[{ path: '/etc/x' }], /either content or deleted/],
      [[{ path: '/etc/x', content: '', deleted: true }], /either content or deleted/],
      [[{ path: '/etc/x', content: '', mode: '0644' }], /\/mode/],
      [[{ path: '/etc/x', content: '', colour: 1 }], /unknown keys colour/],
      [[5], /5:/],
    ] as const) {
      const files = Array.isArray(bad) ? [good, ...bad] : bad
      await assert.rejects(run({ files }), { type: 'InvalidCommandParamsError', message })
    }
    look(3, root => assert.match(readFileSync(join(root, 'etc/motd'), 'utf8'), /of before/))
    for (const [file, message] of [
      [{ path: '/srv/x', content: '' }, /no partition has a folder \/srv; looked at .*p1, .*p2, .*p3/],
      [{ path: '/x', content: '', partition: 9 }, /has no partition 9/],
      [{ path: '/x', content: '', partition: '/dev/sda1' }, /neither the number of a partition nor one of/],
      [{ path: '/etc/x', content: 'not base64!' }, /neither base64 nor a URL/],
    ] as const) {
      await assert.rejects(run({ files: [file] }), { type: 'CommandExecutionError', message })
    }
    assert.deepEqual(await run({}), [])
  })

  test('content from a URL that names the node; an answer other than 200 fails', async () => {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(request.url ?? '')
      response.writeHead(request.url === '/the-uuid/motd' ? 200 : 403).end('from afar')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo // TCP, so not a pipe's name
    const content = `http://127.0.0.1:${port}/{node[uuid]}/motd`
    try {
      await run({ files: [{ path: '/etc/motd', content }] })
      assert.equal(
        look(3, root => readFileSync(join(root, 'etc/motd'), 'utf8')),
        'from afar',
      )
      await assert.rejects(
        run({ files: [{ path: '/etc/x', content: `${content}-not` }] }),
        /answered 403, expected 200/,
      )
      look(3, root => assert.throws(() => statSync(join(root, 'etc/x')), /ENOENT/))
      assert.deepEqual(asked, ['/the-uuid/motd', '/the-uuid/motd-not'])
    } finally {
      server.close()
    }
  })
})

test('places in a URL are filled from node and ports, and nothing else', () => {
  const values = { node: { uuid: 'u', properties: { rack: 4 } }, ports: [{ address: 'aa:bb' }] }
  assert.equal(
    filled('http://a/{node[uuid]}/{node[properties][rack]}?{ports[0][address]}', values),
    'http://a/u/4?aa:bb',
  )
  for (const bad of ['{node[name]}', '{node}', '{ports[1][address]}', '{node[__proto__]}', '{other[x]}']) {
    assert.throws(() => filled(`http://a/${bad}`, values), /its URL has \{/)
  }
})
