/**
 * Beside the real `baremetal` client, when it is installed (Debian: python3-ironicclient): the same command lines
 * against the same fake API must make the same requests, and print the same values. Column titles and the order of
 * fields differ between its own releases, so those are compared by the transcripts only.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { type FakeApi, startFakeApi } from './fake-api.ts'
import { run } from './main.ts'
import { testTerminal } from './test-terminal.ts'

const program = process.env.BAREMETAL_CLIENT ?? 'baremetal'
const missing = await promisify(execFile)(program, ['--version']).then(
  () => false,
  () => `the ${program} client is not installed (Debian: python3-ironicclient)`,
)

interface Answer {
  status: number
  out: string
  requests: string[]
}

/** One world for each client, so that both begin with the same. */
async function worlds(): Promise<FakeApi[]> {
  const both = await Promise.all([startFakeApi(), startFakeApi()])
  for (const api of both) {
    for (const line of [
      'node create --driver redfish --name n1 --driver-info a=1 --extra b={"c":[1,null]}',
      'node create --driver fake-hardware --name n2 --property cpus=4',
      'port create --node 00000000-0000-4000-8000-000000000001 52:54:00:00:00:01',
    ]) {
      await run(['--os-endpoint', api.url, ...line.split(' ')], testTerminal())
    }
  }
  return both
}

async function ours(api: FakeApi, words: readonly string[]): Promise<Answer> {
  api.requests.length = 0
  const terminal = testTerminal({ env: { OS_ENDPOINT: api.url } })
  const status = await run(words, terminal)
  return { status, out: terminal.takeOut(), requests: api.requests.map(plain) }
}

async function theirs(api: FakeApi, words: readonly string[]): Promise<Answer> {
  api.requests.length = 0
  // No settings of the user's, and both spellings of "no authentication", old and new.
  const env = { PATH: process.env.PATH ?? '', HOME: '/nonexistent', OS_AUTH_TYPE: 'none', OS_ENDPOINT: api.url }
  const { status, out } = await promisify(execFile)(program, words, { env }).then(
    ({ stdout }) => ({ status: 0, out: stdout }),
    (error: { code: number; stdout: string }) => ({ status: error.code, out: error.stdout }),
  )
  // It asks for the versions first; we send the newest at once.
  return { status, out, requests: api.requests.filter(request => !/^GET \/v1$/.test(request)).map(plain) }
}

/** A request without what does not matter: order of keys and of patch operations, encoding of the query. */
function plain(request: string): string {
  const [method, path = '', ...rest] = request.split(' ')
  const url = new URL(path, 'http://api')
  url.searchParams.sort()
  const body = rest.join(' ')
  return `${method} ${url.pathname.replace(/\/$/, '')}${decodeURIComponent(url.search)} ${body ? canonical(JSON.parse(body)) : ''}`
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).sort().join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, inner]) => `${key}:${canonical(inner)}`).join()}}`
}

const sameRequestsAndText = [
  'node list -f value --sort name:desc',
  'node list --provision-state enroll --driver redfish --no-maintenance -f value',
  'node show n1 -f value -c name -c driver_info -c extra -c maintenance',
  'node show nothing',
  'node validate n1',
  'port show 00000000-0000-4000-8000-000000000003',
  'driver show fake-hardware',
  'driver property list redfish -f value',
  'node delete n1 nothing n2',
]

const sameRequests = [
  [
    'node',
    'create',
    '--driver',
    'redfish',
    '--name',
    'n3',
    '--property',
    'a=5',
    '--driver-info',
    'b=c',
    '--extra',
    'd=',
  ],
  [
    'node',
    'set',
    'n1',
    '--extra',
    'x={"y": null}',
    '--property',
    'capabilities="a:b"',
    '--name',
    'n1',
    '--owner',
    'me',
  ],
  [
    'node',
    'set',
    'n1',
    '--boot-interface',
    'ipxe',
    '--reset-deploy-interface',
    '--instance-info',
    'image_source=http://i',
  ],
  ['node', 'unset', 'n1', '--extra', 'b', '--owner', '--boot-interface'],
  ['node', 'power', 'off', 'n1', '--soft', '--power-timeout', '30'],
  ['node', 'maintenance', 'set', 'n1', '--reason', 'new fan'],
  ['node', 'boot', 'device', 'set', 'n1', 'pxe', '--persistent'],
  [
    'node',
    'deploy',
    'n1',
    '--config-drive',
    '{"meta_data": {"a": 1}}',
    '--deploy-steps',
    '[{"step": "a", "priority": 1}]',
  ],
  ['node', 'clean', 'n1', '--clean-steps', '[{"interface": "deploy", "step": "erase_devices_metadata"}]'],
  ['port', 'set', '00000000-0000-4000-8000-000000000003', '--address', '52:54:00:00:00:09', '--extra', 'a=1'],
]

test('the same values', { skip: missing }, async () => {
  await compare(
    sameRequestsAndText.map(line => line.split(' ')),
    (a, b) => assert.equal(a.out, b.out),
  )
})

test('the same requests and exit status', { skip: missing }, async () => await compare(sameRequests, () => {}))

/** Runs each line on both clients, one after the other on a pair of worlds; two pairs at a time. */
async function compare(lines: readonly string[][], check: (a: Answer, b: Answer) => void): Promise<void> {
  const halves = [lines.filter((_, at) => at % 2 === 0), lines.filter((_, at) => at % 2 === 1)]
  await Promise.all(
    halves.map(async half => {
      const [left, right] = await worlds()
      assert.ok(left && right)
      try {
        for (const words of half) {
          const a: Answer = await ours(left, words)
          const b: Answer = await theirs(right, words)
          const what = words.join(' ')
          assert.deepEqual(a.requests, b.requests, what)
          assert.equal(a.status, b.status, what)
          check(a, b)
        }
      } finally {
        await Promise.all([left.close(), right.close()])
      }
    }),
  )
}
