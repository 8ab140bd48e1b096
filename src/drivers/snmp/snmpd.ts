/**
 * Debian's snmpd for tests, as a PDU of three makers: a small program answers for their objects from files. It listens on
 * a free port of 127.0.0.1, and knows communities and users of version 3.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Snmpd extends AsyncDisposable {
  readonly port: number
  set(object: string, value: number): Promise<void>
  get(object: string): Promise<number>
}

/** Why a test with it is skipped; false where it is installed. */
export const noSnmpd =
  spawnSync('snmpd', ['-v'], { stdio: 'ignore' }).error !== undefined && 'snmpd is not installed (Debian package snmpd)'

export const passwords = { auth: 'auth-password', priv: 'priv-password' } as const
/** Users of version 3: name, and what they prove and encrypt with. */
export const users = [
  ['plain', 'none', 'none'],
  ['md5', 'md5', 'none'],
  ['sha', 'sha', 'none'],
  ['sha224', 'sha224', 'none'],
  ['sha256', 'sha256', 'none'],
  ['sha384', 'sha384', 'none'],
  ['sha512', 'sha512', 'none'],
  ['md5aes', 'md5', 'aes'],
  ['shaaes', 'sha', 'aes'],
  ['sha512aes', 'sha512', 'aes'],
  ['sha256aes256', 'sha256', 'aes256blmt'],
] as const

const authNames = {
  md5: 'MD5',
  sha: 'SHA',
  sha224: 'SHA-224',
  sha256: 'SHA-256',
  sha384: 'SHA-384',
  sha512: 'SHA-512',
} as const
const privNames = { aes: 'AES', aes256blmt: 'AES-256' } as const

export async function startSnmpd(): Promise<Snmpd> {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-snmpd-'))
  const values = join(directory, 'values')
  await mkdir(values)
  const program = join(directory, 'outlets')
  await writeFile(program, outlets(values))
  await chmod(program, 0o755)
  const port = await freeUdpPort()
  await writeFile(join(directory, 'snmpd.conf'), configuration(port, program))
  const args = ['-f', '-Le', '-C', '-c', join(directory, 'snmpd.conf'), `--persistentDir=${directory}`, '-I', '-smux']
  const child = spawn('snmpd', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk
  })
  const endMs = Date.now() + 60_000
  while (!said.includes('NET-SNMP version')) {
    if (child.exitCode !== null || Date.now() > endMs) throw new Error(`snmpd did not come up: ${said}`)
    await sleep(20)
  }
  return {
    port,
    set: (object, value) => writeFile(join(values, object), String(value)),
    get: async object => Number(await readFile(join(values, object), 'utf8')),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Speaks pass_persist of snmpd.conf(5); the value of an object is a file of its name. Off and on objects change the state. */
const outlets = (values: string) => `#!/bin/sh
while read -r verb; do
  case "$verb" in
    PING) echo PONG ;;
    get)
      read -r object; file="${values}/\${object#.}"
      if [ -f "$file" ]; then printf '%s\\ninteger\\n%s\\n' "$object" "$(cat "$file")"; else echo NONE; fi ;;
    getnext) read -r object; echo NONE ;;
    set)
      read -r object; read -r value; file="${values}/\${object#.}"
      if [ -f "$file" ]; then printf '%s' "\${value#* }" | tr -d '"' > "$file"; echo DONE; else echo not-writable; fi ;;
    *) exit 0 ;;
  esac
done
`

const configuration = (port: number, program: string) => `agentaddress udp:127.0.0.1:${port}
sysobjectid .1.3.6.1.4.1.318.1.1.4.5
rocommunity public
rwcommunity private
${['318', '534', '21317'].map(maker => `pass_persist .1.3.6.1.4.1.${maker} ${program}`).join('\n')}
${users.map(user).join('\n')}
`

function user([name, auth, priv]: (typeof users)[number]): string {
  const proof = auth === 'none' ? '' : ` ${authNames[auth]} "${passwords.auth}"`
  const cipher = priv === 'none' ? '' : ` ${privNames[priv]} "${passwords.priv}"`
  const level = auth === 'none' ? 'noauth' : priv === 'none' ? 'auth' : 'priv'
  return `createUser ${name}${proof}${cipher}\nrwuser ${name} ${level}`
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  await new Promise<void>(resolve => socket.close(() => resolve()))
  return port
}
