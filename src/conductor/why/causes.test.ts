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
  [
    'agent-command-failed',
    `${failed}ImageDownloadError: Fetching the image http://x failed: http://x answered 407 through the proxy http://p of driver_info image_http_proxy`,
    'proxy-refused',
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
  [
    'agent-command-failed',
    `${failed}ImageWriteError: Cannot write the image to /dev/sda: it has 9 bytes, the disk only 8; nothing was written`,
    'disk-too-small',
  ],
  [
    'agent-command-failed',
    `${failed}DeploymentError: Cannot lay out /dev/sda: it has 8 bytes, needed are 9 (root 1 MiB); nothing was written`,
    'disk-too-small',
  ],
  [
    'agent-command-failed',
    'The agent failed the installation of the boot loader: DeviceNotFound: Cannot make /dev/sda bootable by UEFI: it has no EFI system partition',
    'image-not-bootable',
  ],
  [
    'agent-command-failed',
    'The agent failed the installation of the boot loader: InvalidImage: Cannot make the disk bootable: the image has neither grub-install nor grub2-install',
    'image-not-bootable',
  ],
  [
    'agent-command-failed',
    'The agent failed the installation of the boot loader: CommandExecutionError: grub-install ended with 1',
    'step-failed',
  ],
  ['agent-command-failed', 'The agent failed rescue.finalize_rescue: RescueError: no user', 'step-failed'],
  [
    'agent-command-failed',
    `${failed}DeploymentError: The image was written to /dev/sda, but the disk has no partitions now`,
    'image-without-partitions',
  ],
  [
    'agent-command-failed',
    `${failed}ImageWriteError: Converting the image to /dev/sda failed: qcow2: Marking image as corrupt; error while reading at byte 0: Input/output error`,
    'image-refused',
  ],
  [
    'agent-command-failed',
    `${failed}ImageWriteError: Converting the image to /dev/sda failed: error while writing at byte 0: Input/output error`,
    'disk-failed',
  ],
  [
    'agent-command-failed',
    `${failed}ProtectedDeviceError: Cannot write to /dev/sda: it is in use by /dev/dm-0`,
    'disk-protected',
  ],
  [
    'agent-command-failed',
    `${failed}BlockDeviceEraseError: Erasing the metadata of 1 disks failed: /dev/sda: the disk is read-only`,
    'disk-protected',
  ],
  [
    'agent-command-failed',
    `${failed}BlockDeviceEraseError: secure erase failed, and overwriting instead is not allowed: the firmware has frozen the security state of /dev/sda`,
    'erase-refused',
  ],
  [
    'agent-command-failed',
    `${failed}BlockDeviceEraseError: /dev/sda was overwritten with zeros, but at byte 7 it holds something else`,
    'disk-failed',
  ],
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
  ['boot-file-unavailable', 'deploy_kernel names http://x/k: getaddrinfo ENOTFOUND x', 'name-not-resolved'],
  ['boot-file-unavailable', 'deploy_kernel names https://x/k: self-signed certificate', 'image-server-not-trusted'],
  ['boot-file-unavailable', 'deploy_kernel names http://x/k: connect EPERM 10.0.0.1:80', 'boot-file-unavailable'],
  ['boot-file-unavailable', 'deploy_kernel names http://x/k: ENOSPC: no space left on device, write', 'disk-full'],
  ['iso-not-built', 'Cannot build the ISO: EACCES: permission denied, mkdir', 'state-not-writable'],
  ['internal', 'Internal error, please report it: database or disk is full', 'disk-full'],
  ['agent-unreachable', 'GET /v1 of the agent at https://a failed: self-signed certificate', 'agent-not-trusted'],
  ['agent-unreachable', 'GET /v1 of the agent at https://a failed: connect ECONNREFUSED', 'agent-unreachable'],
  ['bmc-refused', 'The BMC answered POST /Sessions with HTTP 503: [Base.1.8.SessionLimitExceeded]', 'bmc-no-session'],
  [
    'bmc-not-redfish',
    'Cannot find a Redfish service at https://b/redfish/v1/: it answered HTTP 500 with something that is not JSON',
    'bmc-refused',
  ],
  ['bmc-not-redfish', 'Cannot find a Redfish service at https://b: it answered HTTP 200 with', 'bmc-not-redfish'],
  ['bmc-not-redfish', 'Cannot read the system at https://b/Systems/1: /PowerState must be string', 'bmc-unreadable'],
  [
    'bmc-not-redfish',
    'Cannot talk to the BMC at http://b: what answered does not speak HTTP here; check redfish_address',
    'bmc-wrong-scheme',
  ],
  ['bmc-not-trusted', 'Cannot trust the BMC at https://b: what answered does not speak TLS', 'bmc-wrong-scheme'],
  ['bmc-not-trusted', 'Cannot trust the BMC at https://b: TLS could not be agreed upon (EPROTO)', 'bmc-tls-version'],
  ['bmc-not-trusted', 'Cannot trust the BMC at https://b: self-signed certificate', 'bmc-not-trusted'],
  [
    'bmc-unreachable',
    'Cannot reach the BMC at b:623: getaddrinfo ENOTFOUND b; check ipmi_address',
    'bmc-name-not-resolved',
  ],
  [
    'bmc-no-session',
    'The BMC at b:623 answered RAKP 1 with "x": user "a" may not have privilege ADMINISTRATOR with cipher suite 17; check ipmi_priv_level and ipmi_cipher_suite',
    'bmc-access-denied',
  ],
  [
    'bmc-no-session',
    'The BMC answered Open Session with "x", asked for cipher suite 17; check ipmi_cipher_suite',
    'bmc-session-settings',
  ],
  ['bmc-no-session', 'The BMC at b:623 has no IPMI 2.0; set ipmi_protocol_version to 1.5', 'bmc-session-settings'],
  ['bmc-no-session', 'The BMC answered with "x": others hold all sessions that it has', 'bmc-no-session'],
  [
    'bmc-refused',
    'The BMC at b:623 answered Chassis Control with "x"; ipmi_priv_level or the user is not enough for it',
    'bmc-access-denied',
  ],
  [
    'power-state-timeout',
    'its BMC accepted the request and then could not be asked: Cannot connect to the BMC at https://b',
    'bmc-unreachable',
  ],
  [
    'power-state-timeout',
    'its BMC accepted the request and then could not be asked: The BMC answered GET / with HTTP 503',
    'bmc-busy',
  ],
  [
    'power-state-timeout',
    'its BMC accepted the request and then could not be asked: The BMC at b:623 answered Get Chassis Status with "node busy"',
    'bmc-busy',
  ],
  [
    'power-state-timeout',
    'its BMC accepted the request and then could not be asked: Cannot reach the PDU at p: timed out',
    'pdu-unreachable',
  ],
  ['power-state-timeout', 'its BMC accepted the request and then still reports "power off"', 'power-state-timeout'],
  [null, 'whatever', 'unknown'],
]

const logged: [cause: string, line: string, better: string][] = [
  ['agent-restarted', 'Out of memory: Killed process 312 (node) total-vm:1042132kB', 'out-of-memory'],
  ['agent-lost', 'mce: [Hardware Error]: Machine check events logged', 'hardware-failed'],
  ['agent-lost', 'Kernel panic - not syncing: Fatal exception', 'kernel-panicked'],
  ['step-failed', 'blk_update_request: critical medium error, dev sda, sector 4711', 'disk-failed'],
  ['agent-lost', 'nvme nvme0: controller is down; will reset: CSTS=0xffffffff', 'disk-failed'],
  ['image-without-partitions', 'critical target error, dev sda, sector 0', 'disk-failed'],
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
