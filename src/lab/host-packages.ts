/**
 * The Debian packages that our build and lab commands need on the machine they run on, in one place, and the one
 * function that installs what is missing. Packages that end up inside a ramdisk or an image are not listed here: those
 * are downloaded and unpacked, never installed.
 */
import { access } from 'node:fs/promises'
import { Fault } from '#lib/fault.ts'
import { CommandFailed, run } from '#lib/run.ts'

/** `ferrite ramdisk build`: unpack packages, index modules, strip Node, pack. */
export const forRamdisk = ['dpkg', 'kmod', 'binutils', 'squashfs-tools'] as const

/** `ferrite lab image`: a Debian tree, partitions, boot loaders, qcow2; all of it without loop devices. */
export const forImage = [
  'mmdebstrap',
  'e2fsprogs',
  'fdisk',
  'dosfstools',
  'mtools',
  'grub-common',
  'grub-pc-bin',
  'grub-efi-amd64-bin',
  'qemu-utils',
  'zstd',
] as const

/** `ferrite lab` and the VM tests: machines, firmware, network boot. */
export const forLab = [
  'qemu-system-x86',
  'qemu-utils',
  'ovmf',
  'ipxe',
  'ipxe-qemu',
  'dnsmasq-base',
  'iproute2',
  'seabios',
] as const

/** BMCs of the lab that fetch images from NFS and CIFS; `npm run interop:redfish` tries them. */
export const forShares = ['libnfs-utils', 'smbclient'] as const

/** `ferrite serve`: image formats, network boot, boot ISO images. */
export const forService = [
  'qemu-utils',
  'dnsmasq-base',
  'ipxe',
  'mtools',
  'xorriso',
  'isolinux',
  'syslinux-common',
  'grub-common',
  'grub-efi-amd64-bin',
] as const

/** `npm run test:console`: the browser that walks the console's pages. */
export const forConsole = ['chromium'] as const

/** `npm run interop:clients`: the clients of Ironic that must work with our API as they are. */
export const forClients = ['python3-ironicclient', 'python3-openstackclient', 'python3-openstacksdk'] as const

/** A Keystone for those clients. Only its programs: the package `keystone` would set up and start a service. */
export const forKeystone = ['python3-keystone'] as const

/** `npm run interop:deploy`: servers that images come from. Each is started with a configuration of its own. */
export const forNginx = ['nginx'] as const
export const forSquid = ['squid'] as const
export const forRegistry = ['docker-registry'] as const
/** Only their programs and libraries: the packages of the services would set them up and start them. */
export const forSwift = ['python3-swift', 'python3-keystonemiddleware'] as const
export const forGlance = ['python3-glance'] as const

/** The deploy interface `ansible`, in `npm run interop:deploy` and `interop:installers`. */
export const forAnsible = ['ansible-core', 'openssh-client'] as const

/** `npm run interop:notifications`: what RabbitMQ runs on, and who listens. RabbitMQ itself is unpacked, not installed. */
export const forNotifications = [
  ...['erlang-base', 'erlang-crypto', 'erlang-eldap', 'erlang-inets', 'erlang-mnesia', 'erlang-os-mon'],
  ...['erlang-parsetools', 'erlang-public-key', 'erlang-runtime-tools', 'erlang-ssl', 'erlang-syntax-tools'],
  ...['erlang-tools', 'erlang-xmerl', 'python3-oslo.messaging'],
] as const

/** The newest clients, which pip installs in a virtual environment. */
export const forNewestClients = ['python3-venv'] as const

/** IPMI by software that is not ours: a simulator of BMCs, and the client that all others use. */
const forIpmi = ['openipmi', 'ipmitool'] as const

/** The agent that PDUs are tried by. */
const forSnmp = ['snmpd'] as const

const usedByTests = [
  'gdisk',
  'fdisk',
  'dosfstools',
  'curl',
  'busybox',
  'python3-ironicclient',
  'postgresql',
  ...forIpmi,
  ...forSnmp,
] as const

/** `npm test`: what the tests of all parts need, machines included. */
export const forTests = [...new Set([...forRamdisk, ...forImage, ...forLab, ...forService, ...usedByTests])]

/** Packages are missing on this machine and we cannot install them. */
export class HostPackagesMissing extends Fault {
  readonly status = 500
  readonly code = 'host-packages-missing'
}

/**
 * Makes sure that the Debian packages `names` are installed, installing what is missing with one `apt-get install`
 * after one `apt-get update`. Nothing is upgraded or removed.
 * @param log gets a line for what is about to be installed; nothing when all is there
 * @throws HostPackagesMissing without apt, without root, or when apt fails
 */
export async function ensureHostPackages(names: readonly string[], log: (line: string) => void): Promise<void> {
  const missing = await missingPackages(names)
  if (missing.length === 0) return
  const list = missing.join(' ')
  const wanted = `Cannot install the packages ${list}`
  if (!(await exists('/usr/bin/apt-get'))) {
    throw new HostPackagesMissing(
      `${wanted}: this system has no apt-get. Install the programs of these Debian packages in your system's way`,
    )
  }
  if (process.geteuid?.() !== 0) {
    throw new HostPackagesMissing(`${wanted}: not root. Run: sudo apt-get install --no-install-recommends ${list}`)
  }
  log(`installing ${list}`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  // Another apt may be at work (unattended upgrades, a second demo): wait for its lock rather than fail.
  const options = ['-q', '-y', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=3']
  try {
    await run('apt-get', [...options, 'update'], { env })
    await run('apt-get', [...options, 'install', '--no-install-recommends', '--no-upgrade', ...missing], { env })
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error
    throw new HostPackagesMissing(`${wanted}: ${error.message}`, { cause: error })
  }
}

/** Those of `names` whose dpkg status is not "installed", each once, in the order given. */
export async function missingPackages(names: readonly string[]): Promise<string[]> {
  const wanted = [...new Set(names)]
  if (!(await exists('/usr/bin/dpkg-query'))) return wanted
  // dpkg-query ends with status 1 when it knows nothing of one of them, having printed the others: read all instead.
  const { stdout } = await run('dpkg-query', ['-W', '-f', `$\{db:Status-Status} $\{Package}\n`])
  const installed = new Set<string>()
  for (const line of stdout.split('\n')) {
    const [status, name] = line.split(' ')
    if (status === 'installed' && name !== undefined) installed.add(name)
  }
  return wanted.filter(name => !installed.has(name))
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
