/**
 * An NFS export and a CIFS share on the loopback, by servers that nobody here wrote: nfs-ganesha and Samba, out of Debian
 * packages that are unpacked and never installed, each with a directory and ports of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '#lab/service-process.ts'
import { run } from '#lib/run.ts'

export interface Shares extends AsyncDisposable {
  /** What is in it both servers give. */
  readonly directory: string
  readonly nfsUrl: string
  readonly cifsUrl: string
  readonly login: { username: string; password: string }
}

const packages = [
  'nfs-ganesha',
  'nfs-ganesha-vfs',
  'libntirpc4.3',
  'libnfsidmap1',
  'liburcu8',
  'samba',
  'samba-common-bin',
]
/** Samba knows only users that the host knows. */
const login = { username: 'root', password: 'of the share' }
const startLimitMs = 60_000

/** @param top an empty directory, whose path is short */
export async function startShares(top: string): Promise<Shares> {
  const programs = join(top, 'programs')
  await mkdir(programs)
  await run('apt-get', ['-o', 'APT::Sandbox::User=', 'download', '-q', ...packages], { cwd: programs })
  for (const file of globSync('*.deb', { cwd: programs })) await run('dpkg', ['-x', join(programs, file), programs])
  const directory = join(top, 'share')
  await mkdir(directory)
  const [nfsPort = 0, cifsPort = 0, ...others] = await freePorts(5)
  const libraries = join(programs, 'usr/lib/x86_64-linux-gnu')
  const env = { LD_LIBRARY_PATH: [libraries, join(libraries, 'samba'), join(programs, 'usr/lib/ganesha')].join(':') }

  const nfs = join(top, 'ganesha.conf')
  await writeFile(nfs, ganeshaConfig({ top, directory, libraries, ports: [nfsPort, ...others] }))
  const samba = join(top, 'smb.conf')
  await writeFile(samba, sambaConfig({ top, directory, port: cifsPort }))
  const passwords = `${login.password}\n${login.password}\n`
  const smbpasswd = join(programs, 'usr/bin/smbpasswd')
  await run(smbpasswd, ['-c', samba, '-a', '-s', login.username], { env, input: passwords })

  const start = (program: string, args: string[]) =>
    spawn('setpriv', ['--pdeathsig', 'KILL', join(programs, program), ...args], {
      env: { ...process.env, ...env },
      stdio: 'ignore',
    })
  const log = join(top, 'ganesha.log')
  const servers = [
    start('usr/bin/ganesha.nfsd', ['-F', '-L', log, '-f', nfs, '-p', join(top, 'ganesha.pid')]),
    start('usr/sbin/smbd', ['-F', '--no-process-group', '-s', samba]),
  ]
  const end = async () => {
    await Promise.all(servers.map(stop))
  }
  try {
    const limit = AbortSignal.timeout(startLimitMs)
    await listens(cifsPort, limit)
    while (!(await readFile(log, 'utf8').catch(() => '')).includes('NFS SERVER INITIALIZED')) {
      limit.throwIfAborted()
      await sleep(100)
    }
  } catch (error) {
    await end()
    throw error
  }
  return {
    directory,
    nfsUrl: `nfs://127.0.0.1:${nfsPort}/media`,
    cifsUrl: `cifs://127.0.0.1:${cifsPort}/media`,
    login,
    [Symbol.asyncDispose]: end,
  }
}

function ganeshaConfig(given: { top: string; directory: string; libraries: string; ports: number[] }): string {
  const { top, directory, libraries, ports } = given
  const [nfs, mount, locks, quota] = ports
  return `
NFS_CORE_PARAM {
  Protocols = 4; Bind_addr = 127.0.0.1; Enable_NLM = false; Enable_RQUOTA = false;
  NFS_Port = ${nfs}; MNT_Port = ${mount}; NLM_Port = ${locks}; Rquota_Port = ${quota};
  Plugins_Dir = "${libraries}/ganesha";
}
NFSv4 { Graceless = true; Only_Numeric_Owners = true; UseGetpwnam = true; RecoveryRoot = "${top}"; }
EXPORT {
  Export_Id = 1; Path = ${directory}; Pseudo = /media; Access_Type = RO; Squash = No_Root_Squash;
  SecType = sys; Protocols = 4; FSAL { Name = VFS; }
}
LOG { Default_Log_Level = EVENT; }
`
}

function sambaConfig({ top, directory, port }: { top: string; directory: string; port: number }): string {
  const own = ['private dir', 'lock directory', 'state directory', 'cache directory', 'pid directory']
  return [
    '[global]',
    `smb ports = ${port}`,
    'interfaces = 127.0.0.1',
    'bind interfaces only = yes',
    ...own.map(name => `${name} = ${top}`),
    `ncalrpc dir = ${top}/ncalrpc`,
    `log file = ${top}/smbd.log`,
    'disable netbios = yes',
    'load printers = no',
    'security = user',
    `passdb backend = tdbsam:${top}/passdb.tdb`,
    '[media]',
    `path = ${directory}`,
    'read only = yes',
    '',
  ].join('\n')
}

async function listens(port: number, limit: AbortSignal): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
    limit.throwIfAborted()
    await sleep(100)
  }
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const closed = once(server, 'close')
  server.kill('SIGKILL')
  await closed
}
