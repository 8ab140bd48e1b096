/** What faults say is read for what they mean; what nobody knows keeps its name. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { actionsOf } from './actions.ts'
import { causeByLog, causeOf, readCauses } from './causes.ts'

const failed = 'The agent failed step deploy.write_image: '
const cases: [code: string | null, text: string, cause: string][] = [
  [
    'agent-command-failed',
    `${failed}ImageChecksumError: The sha256 of image x is 1, expected 2`,
    'image-checksum-mismatch',
  ],
  ['agent-command-failed', `${failed}ImageDownloadError: http://x answered 404`, 'image-unreachable'],
  [
    'agent-command-failed',
    `${failed}ImageDownloadError: Cannot reach http://x through the proxy http://p`,
    'proxy-unreachable',
  ],
  ['agent-command-failed', `${failed}ImageDownloadError: self-signed certificate`, 'image-server-not-trusted'],
  ['agent-command-failed', `${failed}InvalidImage: Security: it is declared as qcow2 but is raw`, 'image-refused'],
  [
    'agent-command-failed',
    `${failed}DeviceNotFound: Looking for a root disk of at least 4 GiB, found none among: no disks`,
    'no-root-device',
  ],
  [
    'agent-command-failed',
    `${failed}DeviceNotFound: Looking for a root disk of at least 4 GiB, found none among: /dev/sda`,
    'disk-too-small',
  ],
  [
    'agent-command-failed',
    `${failed}ImageWriteError: Writing to /dev/sda failed: EIO: i/o error, write`,
    'disk-failed',
  ],
  ['agent-command-failed', `${failed}ImageWriteError: The image is larger than /dev/sda`, 'disk-too-small'],
  [
    'agent-command-failed',
    `${failed}CommandExecutionError: The agent process was restarted while it ran`,
    'agent-restarted',
  ],
  ['agent-command-failed', `${failed}DeploymentError: Cannot fetch the config drive http://x`, 'config-drive-broken'],
  ['agent-command-failed', `${failed}SomethingElse: odd`, 'step-failed'],
  ['agent-lost', 'The agent stopped answering. Its BMC reports "power off": the machine lost its power', 'power-lost'],
  ['agent-lost', 'The agent stopped answering. The machine crashed, or lost its network', 'agent-lost'],
  ['bmc-refused', 'The BMC answered GET / with HTTP 503', 'bmc-busy'],
  ['bmc-refused', 'The BMC answered PATCH / with HTTP 400', 'bmc-refused'],
  ['image-unreachable', 'Cannot fetch https://x: its certificate is not trusted', 'image-server-not-trusted'],
  ['settings-wrong', 'none of its 1 ports has pxe_enabled', 'no-boot-port'],
  ['internal', 'ENOSPC: no space left on device, write', 'disk-full'],
  ['internal', 'EROFS: read-only file system, open', 'state-not-writable'],
  ['image-unreachable', 'Cannot fetch http://x: getaddrinfo ENOTFOUND x', 'name-not-resolved'],
  [
    'bmc-unreachable',
    'Cannot connect to the BMC at https://b (2 attempts): the name cannot be resolved: DNS knows no such host',
    'bmc-name-not-resolved',
  ],
  ['image-unreachable', 'Cannot fetch http://x/y: the name x cannot be resolved', 'name-not-resolved'],
  [null, 'whatever', 'unknown'],
]

const logged: [cause: string, line: string, better: string][] = [
  ['agent-restarted', 'Out of memory: Killed process 312 (node) total-vm:1042132kB', 'out-of-memory'],
  ['agent-lost', 'mce: [Hardware Error]: Machine check events logged', 'hardware-failed'],
  ['agent-lost', 'Kernel panic - not syncing: Fatal exception', 'kernel-panicked'],
  ['step-failed', 'blk_update_request: critical medium error, dev sda, sector 4711', 'disk-failed'],
  ['agent-lost', 'nvme nvme0: controller is down; will reset: CSTS=0xffffffff', 'disk-failed'],
  ['agent-lost', 'cannot read /etc/hostname', 'agent-lost'],
  ['image-checksum-mismatch', 'I/O error, dev sr0, sector 0', 'image-checksum-mismatch'],
]

for (const [cause, line, better] of logged) {
  test(`${cause}, and the log says: ${line}`, () => assert.equal(causeByLog(cause, ['something failed', line]), better))
}

for (const [code, text, cause] of cases) {
  test(`${cause}: ${text}`, () => assert.equal(causeOf(code, text), cause))
}

test('every cause that is read says what to do next', () => {
  assert.deepEqual(
    readCauses.filter(cause => !actionsOf[cause]),
    [],
  )
})
