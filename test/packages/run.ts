/**
 * `npm run test:packages`: builds the Debian package and the one-file client, installs the package in a clean Debian
 * root, runs the service there as its user, takes simulated machines through it, backs it up while it runs, restores the
 * backup in a second state and starts a service on that. Needs root and mmdebstrap.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildCli } from '../../packaging/cli.ts'
import { buildDeb } from '../../packaging/deb.ts'
import { ensureHostPackages } from '../../src/lab/host-packages.ts'
import { freePorts } from '../../src/lab/service-process.ts'
import { run } from '../../src/lib/run.ts'
import { buildConsole } from '../../src/server/ui/bundle.ts'

const root = resolve(import.meta.dirname, '../..')
const folder = await mkdtemp(join(tmpdir(), 'ferrite-packages-'))
const debian = join(folder, 'root')
const running: ChildProcess[] = []
const env = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  DEBIAN_FRONTEND: 'noninteractive',
  HOME: '/nonexistent',
  LC_ALL: 'C.UTF-8',
}
const config = (state: string) => [
  '--config-file',
  '/etc/ferrite/ferrite.conf',
  '--config-file',
  `/etc/ferrite/test-${basename(state)}.conf`,
]
try {
  await ensureHostPackages(['mmdebstrap'], line => console.log(line))
  await test()
  console.log('packages: passed')
} finally {
  for (const child of running) await stop(child)
  await rm(folder, { recursive: true, force: true })
}

async function test(): Promise<void> {
  await timed('web console', () => buildConsole({ directory: join(root, 'var/build/console') }))
  const deb = await timed('Debian package', buildDeb)
  const cli = await timed('one-file client', buildCli)
  const needed = 'adduser,libatomic1,libstdc++6,qemu-utils'
  await timed('clean Debian root', () =>
    run('mmdebstrap', ['--variant=minbase', '--mode=root', `--include=${needed}`, 'bookworm', debian]),
  )
  await copyFile(deb, join(debian, basename(deb)))
  await timed('install', () => inside('dpkg', ['--install', `/${basename(deb)}`]))
  await copyFile(cli, join(debian, 'usr/local/bin/ferrite-cli'))
  assert.match((await inside('/usr/bin/ferrite', ['version'])).stdout, /^ferrite \d/)
  const unit = await run('systemd-analyze', ['verify', join(debian, 'lib/systemd/system/ferrite.service')]).catch(
    (error: Error) => ({ stdout: '', stderr: error.message }),
  )
  // It looks for the program on this host, where it is not.
  const complaints = unit.stderr
    .split('\n')
    .filter(line => /ferrite\.service:/.test(line) && !/not executable|Cannot run/.test(line))
  assert.deepEqual(complaints, [])

  const [api = 0, http = 0] = await freePorts(2)
  const service = await started({ state: '/var/lib/ferrite', api, http })
  const endpoint = `http://127.0.0.1:${api}`
  const page = await fetch(`${endpoint}/ui/`)
  assert.equal(page.status, 200, 'the web console is in the package')
  assert.match(await page.text(), /<script/)
  await timed('enrol, provide, deploy, tear down on the installed service', () =>
    run(process.execPath, [
      ...[
        '--disable-warning=ExperimentalWarning',
        join(root, 'src/main.ts'),
        'sim',
        '--service',
        endpoint,
        '--nodes',
        '5',
      ],
      ...['--phases', 'enrol,manage,clean,deploy', '--brisk', '--quiet'],
    ]),
  )
  const listed = await inside('/usr/local/bin/ferrite-cli', ['--os-endpoint', endpoint, 'node', 'list', '-f', 'json'])
  const nodes = JSON.parse(listed.stdout) as { provision_state: string }[] // a list is printed as one
  assert.deepEqual(
    nodes.map(node => node.provision_state),
    Array(5).fill('active'),
  )

  await timed('backup while it runs', () =>
    asFerrite(['backup', ...config('/var/lib/ferrite'), '/var/lib/ferrite/b.tar']),
  )
  await stop(service)
  const [again = 0, http2 = 0] = await freePorts(2)
  await configure({ state: '/var/lib/ferrite/restored', api: again, http: http2 })
  await asFerrite(['restore', ...config('/var/lib/ferrite/restored'), '/var/lib/ferrite/b.tar'])
  const restored = await started({ state: '/var/lib/ferrite/restored', api: again, http: http2 })
  const after = await inside('/usr/local/bin/ferrite-cli', [
    '--os-endpoint',
    `http://127.0.0.1:${again}`,
    'node',
    'list',
    '-f',
    'json',
  ])
  assert.deepEqual(JSON.parse(after.stdout), nodes)
  await stop(restored)
  await inside('dpkg', ['--purge', 'ferrite'])
  await assert.rejects(readFile(join(debian, 'usr/bin/ferrite')), /ENOENT/)
}

interface ServiceAt {
  readonly state: string
  readonly api: number
  readonly http: number
}

/** Beside the package's own configuration: a port of this test, and what simulated machines need. */
async function configure({ state, api, http }: ServiceAt): Promise<void> {
  const text = [
    ...['[DEFAULT]', `state_path = ${state}`, 'enabled_hardware_types = redfish,fake-hardware', 'my_ip = 127.0.0.1'],
    ...[
      '[api]',
      `port = ${api}`,
      '[ferrite]',
      'http_host = 127.0.0.1',
      `http_port = ${http}`,
      'poll_interval_ms = 250',
    ],
    ...['[conductor]', 'automated_clean = true', '[deploy]', 'erase_devices_priority = 0'],
  ]
  await writeFile(join(debian, `etc/ferrite/test-${basename(state)}.conf`), `${text.join('\n')}\n`)
}

async function started(at: ServiceAt): Promise<ChildProcess> {
  await configure(at)
  const child = spawn(
    'chroot',
    ['--userspec=ferrite:ferrite', debian, '/usr/bin/ferrite', 'serve', ...config(at.state)],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', NODE_COMPILE_CACHE: '/var/cache/ferrite' },
    },
  )
  running.push(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => (said += text))
  const limit = performance.now() + 120_000
  while (
    !(await fetch(`http://127.0.0.1:${at.api}/v1`).then(
      answer => answer.ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null || performance.now() > limit)
      throw new Error(`the service does not answer:\n${said.slice(-3000)}`)
    await sleep(200)
  }
  return child
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  await gone
}

function inside(command: string, args: readonly string[]) {
  return run('chroot', [debian, command, ...args], { env })
}

function asFerrite(args: readonly string[]) {
  return run('chroot', ['--userspec=ferrite:ferrite', debian, '/usr/bin/ferrite', ...args], { env })
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now()
  const result = await work()
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${what}`)
  return result
}
