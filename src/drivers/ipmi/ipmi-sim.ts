/**
 * OpenIPMI's simulator `ipmi_sim` for tests: a BMC that nobody here wrote, with a machine that is one file, sensors, and
 * another controller behind it. It listens on a free port of 127.0.0.1.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface IpmiSim extends AsyncDisposable {
  port: number
  /** What the machine's serial port is plugged into, once somebody looks at it. */
  serial(): Promise<Socket>
  /** What the machine was told, line by line: `power 1`, `reset`, `boot pxe` … */
  told(): Promise<string[]>
}

/** Why a test with it is skipped; false where it is installed. */
export const noIpmiSim = isMissing('ipmi_sim') && 'ipmi_sim is not installed (Debian package openipmi)'
export const noIpmitool = isMissing('ipmitool') && 'ipmitool is not installed (Debian package ipmitool)'

export const simUser = { name: 'admin', password: 'secret-of-a-sim!' } as const
/** A controller behind the BMC, on channel 0. */
export const behind = { channel: 0, address: 0x30 } as const

export async function startIpmiSim(): Promise<IpmiSim> {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-ipmi-sim-'))
  const port = await freeUdpPort()
  const program = join(directory, 'chassis')
  const log = join(directory, 'told')
  await writeFile(log, '')
  await writeFile(program, chassis(directory))
  await chmod(program, 0o755)
  const plugs: Socket[] = []
  const cable = createServer(plug => plugs.push(plug)).listen(0, '127.0.0.1')
  await once(cable, 'listening')
  const { port: cablePort } = cable.address() as AddressInfo // it listens on TCP
  await writeFile(join(directory, 'lan.conf'), lan(port, program, cablePort))
  await writeFile(join(directory, 'bmc.emu'), emulation)
  const args = ['-c', 'lan.conf', '-f', 'bmc.emu', '-s', directory, '-n']
  const child = spawn('ipmi_sim', args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk
    })
  }
  await answers(port).catch(error => {
    child.kill('SIGKILL')
    throw new Error(`ipmi_sim did not come up: ${said}`, { cause: error })
  })
  return {
    port,
    async serial() {
      if (plugs.length === 0) await once(cable, 'connection')
      return plugs.at(-1) as Socket // one has just come
    },
    told: async () => (await readFile(log, 'utf8')).split('\n').filter(line => line !== ''),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      for (const plug of plugs) plug.destroy()
      cable.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Called as `chassis MC get|set NAME [VALUE]`; the state of the power is a file. */
const chassis = (directory: string) => `#!/bin/sh
cd ${directory}
shift
case "$1 $2" in
  'get power') echo "power:$(cat power 2>/dev/null || echo 0)" ;;
  'get boot') echo "boot:$(cat boot 2>/dev/null || echo none)" ;;
  'get '*) echo "$2:0" ;;
  'set '*)
    while [ $# -gt 1 ]; do
      if [ "$1" = set ]; then shift; fi
      [ "$1" = power ] && echo "$2" > power
      [ "$1" = boot ] && echo "$2" > boot
      [ "$1" = shutdown ] && echo 0 > power
      echo "$1 $2" >> told
      shift; shift
    done ;;
  *) echo "what is $*" >&2; exit 1 ;;
esac
`

const lan = (port: number, program: string, cablePort: number) => `name "sim"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 ${port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "${program} 0x20"
  sol "telnet:127.0.0.1:${cablePort}" 115200
  user 1 true "" "anonymous" user 10 none md2 md5 straight
  user 2 true "${simUser.name}" "${simUser.password}" admin 10 none md2 md5 straight
`

/** A temperature of 20 + raw × 0.5, and a controller behind the BMC. */
const emulation = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sel_enable 0x20 1000 0x0a
sensor_add 0x20 0 1 0x01 0x01
sensor_set_value 0x20 0 1 0x60 0
sensor_set_event_support 0x20 0 1 enable scanning per-state ${'000000000000000 '.repeat(4).trim()}
main_sdr_add 0x20 ${temperatureRecord()}
mc_enable 0x20
mc_add 0x30 1 no-device-sdrs 0x10 3 4 0x80 0x3039 0x0102
mc_enable 0x30
`

/** "DJT", entity 3: reading = (5 × raw + 200) / 10. */
function temperatureRecord(): string {
  const record = Buffer.alloc(51)
  record.set([0, 0, 0x51, 0x01, 46, 0x20, 0, 1, 3, 1, 0x67, 0x68, 0x01, 0x01])
  record.set([0, 1, 0, 0, 5, 0, 20, 0, 0], 20)
  // B × 10^1, all × 10^-1.
  record[29] = 0xf1
  record[47] = 0xc3
  record.write('DJT', 48, 'latin1')
  return [...record].map(byte => `0x${byte.toString(16)}`).join(' ')
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4')
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  await new Promise<void>(resolve => socket.close(resolve))
  return port
}

/** Waits until it answers a presence ping. */
async function answers(port: number): Promise<void> {
  const socket = createSocket('udp4')
  const ping = Buffer.from('0600ff06000011be80010000', 'hex')
  let isThere = false
  socket.once('message', () => {
    isThere = true
  })
  const endMs = Date.now() + 60_000
  try {
    while (!isThere) {
      if (Date.now() > endMs) throw new Error('no answer to a ping of ASF within a minute')
      socket.send(ping, port, '127.0.0.1')
      await sleep(50)
    }
  } finally {
    socket.close()
  }
}

function isMissing(program: string): boolean {
  return spawnSync(program, ['-h'], { stdio: 'ignore' }).error !== undefined
}
