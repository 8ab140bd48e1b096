/**
 * What a ramdisk holds beside the contents of every one when it is asked for, as data: `--with NAME`. A feature names
 * Debian packages and what to take of them; libraries follow by themselves.
 */

export interface FeatureContents {
  readonly packages: readonly string[]
  readonly programs: readonly string[]
  /** Other files and directories, by path. */
  readonly paths: readonly string[]
  /** Empty ones. */
  readonly directories: readonly string[]
  /** Whole trees whose names hold a version. */
  readonly match: readonly RegExp[]
  /** Leaves a path out that `match` found. */
  readonly exclude: RegExp
  /** Kernel modules, by name. */
  readonly modules: readonly string[]
  /** Put at the end of the file of each name. */
  readonly appended: Readonly<Record<string, string>>
  /** Files of ours, by path. */
  readonly data: Readonly<Record<string, string>>
}

const nothing = {
  programs: [],
  paths: [],
  directories: [],
  match: [],
  exclude: /^$/,
  modules: [],
  appended: {},
  data: {},
} as const

export const features = {
  /** For the deploy interface of that name: sshd, and a Python that modules of Ansible run in. */
  ansible: {
    ...nothing,
    packages: ['openssh-server', 'openssh-sftp-server', 'python3-minimal', 'libpython3-stdlib'],
    programs: ['python3', 'ssh-keygen', 'sshd'],
    paths: ['/usr/lib/openssh/sftp-server'],
    // Newer sshds are in parts.
    match: [/^\/usr\/lib\/openssh\/sshd-/, /^\/usr\/lib\/python3\.\d+\//],
    exclude: /\/(__pycache__|distutils|ensurepip|idlelib|lib2to3|pydoc_data|test|tests|tkinter|turtledemo)\//,
    appended: {
      // The user that [ansible] default_username means unless it is set; root under another name, so that no sudo is needed.
      '/etc/passwd': 'ansible:x:0:0:ansible:/root:/usr/bin/sh\nsshd:x:101:65534:sshd:/run/sshd:/usr/bin/false\n',
      '/etc/shadow': 'ansible:*:20000:0:99999:7:::\nsshd:*:20000:0:99999:7:::\n',
    },
    data: {
      '/etc/ssh/sshd_config': [
        'HostKey /etc/ssh/ssh_host_ed25519_key',
        'AuthorizedKeysFile /etc/ssh/authorized_keys',
        'PermitRootLogin prohibit-password',
        'PasswordAuthentication no',
        'KbdInteractiveAuthentication no',
        'UsePAM no',
        'UseDNS no',
        'Subsystem sftp /usr/lib/openssh/sftp-server',
        '',
      ].join('\n'),
    },
  },
  /** For the steps that burn machines in. */
  'burn-in': {
    ...nothing,
    packages: ['fio', 'stress-ng'],
    programs: ['fio', 'stress-ng'],
  },
  /** For bootable containers and steps that are containers. They use the network of the ramdisk, so it needs no firewall. */
  podman: {
    ...nothing,
    packages: ['podman', 'crun', 'conmon', 'golang-github-containers-common', 'golang-github-containers-image'],
    programs: ['podman', 'crun', 'conmon'],
    // Crun's list of system calls is podman's own; who signs which image is the operator's to say.
    paths: ['/etc/containers/policy.json', '/usr/share/containers/seccomp.json'],
    directories: ['/var/lib/containers'],
    data: {
      '/etc/containers/containers.conf': [
        '[containers]',
        'netns = "host"',
        'log_driver = "k8s-file"',
        '[engine]',
        'runtime = "crun"',
        'cgroup_manager = "cgroupfs"',
        'events_logger = "none"',
        '',
      ].join('\n'),
      // The init puts a file system in memory there, as an overlay cannot lie on an overlay.
      '/etc/containers/storage.conf': [
        '[storage]',
        'driver = "overlay"',
        'runroot = "/run/containers/storage"',
        'graphroot = "/var/lib/containers/storage"',
        '',
      ].join('\n'),
      '/etc/containers/registries.conf': 'unqualified-search-registries = []\n',
    },
  },
  /** For people who look for what is wrong with a machine, and for plug-ins that call these programs. */
  tools: {
    ...nothing,
    packages: [
      'btrfs-progs',
      'cryptsetup-bin',
      'curl',
      'iperf3',
      'ledmon',
      'lshw',
      'lsscsi',
      'lvm2',
      'memtester',
      'mstflint',
      'parted',
      'psmisc',
      'rsync',
      'sdparm',
      'sg3-utils',
      'strace',
      'tcpdump',
      'tpm2-tools',
      'usbutils',
    ],
    programs: [
      'btrfs',
      'cryptsetup',
      'curl',
      'fuser',
      'iperf3',
      'ledctl',
      'lshw',
      'lsscsi',
      'lsusb',
      'lvm',
      'lvs',
      'memtester',
      'mkfs.btrfs',
      'mstconfig',
      'mstflint',
      'parted',
      'partprobe',
      'pvs',
      'rsync',
      'sdparm',
      'sg_inq',
      'sg_sanitize',
      'sg_ses',
      'strace',
      'tcpdump',
      'tpm2',
      'vgchange',
      'vgs',
    ],
    paths: ['/etc/lvm/lvm.conf'],
    match: [/^\/usr\/lib\/[^/]+\/libtss2-tcti-device\.so/],
    modules: ['dm_crypt', 'dm_snapshot', 'dm_thin_pool', 'dm_mirror', 'dm_raid'],
  },
} satisfies Record<string, FeatureContents>

export type Feature = keyof typeof features

/** Every one, for a ramdisk that has all there is. */
// Object.keys forgets what the keys are.
export const allFeatures = Object.keys(features) as Feature[]
