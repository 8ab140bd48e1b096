/**
 * The lab itself, over real parts: machines of both firmwares driven by Redfish, seen on their serial ports; and that
 * nothing is left when a lab ends, in whichever way it ends. Needs root and QEMU.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Lab, labUp } from '#lab/lab.ts'
import { namespaces, processes } from '#lab/network.ts'
import { bmcCall, powerState, resetMachine, setBoot, waitForPower } from './bmc.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const tcg = { accelerator: 'tcg', powerDelayMs: 200 } as const
/** Firmware under TCG on a busy host. */
const BOOT_LIMIT_MS = 60_000

let work: string

before(async () => {
  work = await mkdtemp(join(tmpdir(), 'ferrite-lab-test-'))
})
after(() => rm(work, { recursive: true, force: true }))

describe('a machine with BIOS and one with UEFI', () => {
  let lab: Lab

  before(async () => {
    lab = await labUp({
      ...tcg,
      name: 'both',
      directory: join(work, 'both'),
      attached: true,
      memoryMb: 512,
      disks: [{ sizeGib: 1 }],
      machines: [{ firmware: 'bios', nicModel: 'e1000e' }, { firmware: 'uefi' }],
      nodes: 2,
    })
  })
  after(() => lab.down())

  it('is off, and shows so, until the BMC switches it on', async () => {
    assert.equal(await powerState(lab, 'node-0'), 'Off')
    assert.deepEqual(await processesOf(lab, 'qemu-system'), [])
    const refused = await bmcCall(lab, 'node-0', { method: 'GET', path: '/redfish/v1/Systems', password: 'wrong' })
    assert.equal(refused.status, 401)
  })

  for (const [machine, firmware] of [
    ['node-0', 'bios'],
    ['node-1', 'uefi'],
  ] as const) {
    describe(firmware, () => {
      const order = { bios: /Booting from Hard Disk[\s\S]*Booting from ROM/, uefi: /BdsDxe: failed to load[\s\S]*iPXE/ }
      /** What the firmware writes when it goes past the disk. */
      const disk = { bios: /Booting from Hard Disk/, uefi: /BdsDxe: failed to load [^\n]*"UEFI Misc Device"/ }[firmware]
      const network = /Configuring \(net0 (\S+)\)/

      it('boots from the network, once, when told so', async () => {
        assert.equal((await setBoot(lab, machine, 'Pxe', 'Once')).status, 200)
        assert.equal((await resetMachine(lab, machine, 'On')).status, 204)
        assert.equal(await powerState(lab, machine), 'PoweringOn')
        await waitForPower(lab, machine, 'On')
        const match = await lab.waitForSerial(machine, network, { timeoutMs: BOOT_LIMIT_MS })
        assert.equal(match[1], lab.machine(machine).nics[0]?.mac)
        assert.doesNotMatch((await lab.serialText(machine)).text, disk)
        const { boot, counters } = await statusOf(lab, machine)
        assert.deepEqual(boot, { enabled: 'Disabled', target: 'None' })
        assert.deepEqual([counters.power_ons, counters.resets, counters.guest_resets], [1, 0, 0])
      })

      it('tries its disk first after a reset', async () => {
        const from = await lab.serialSize(machine)
        assert.equal((await resetMachine(lab, machine, 'ForceRestart')).status, 204)
        await lab.waitForSerial(machine, order[firmware], { timeoutMs: BOOT_LIMIT_MS, from })
        assert.equal((await statusOf(lab, machine)).counters.resets, 1)
      })

      it('keeps a continuous boot device over a reset and a power cycle', async () => {
        assert.equal((await setBoot(lab, machine, 'Pxe', 'Continuous')).status, 200)
        for (const type of ['ForceRestart', 'PowerCycle']) {
          const from = await lab.serialSize(machine)
          assert.equal((await resetMachine(lab, machine, type)).status, 204)
          await lab.waitForSerial(machine, network, { timeoutMs: BOOT_LIMIT_MS, from })
          assert.doesNotMatch((await lab.serialText(machine, from)).text, disk, type)
        }
        assert.equal((await statusOf(lab, machine)).counters.power_ons, 2)
        await setBoot(lab, machine, 'None', 'Disabled')
      })

      it('keeps times in the log of lines', async () => {
        const lines = (await readFile(lab.machine(machine).timed_log, 'utf8')).trimEnd().split('\n')
        for (const line of lines) assert.match(line, /^20\d\d-\d\d-\d\dT[\d:.]+Z +\d+\.\d\d .*\S$/)
        assert.equal(lines.filter(line => line.includes('--- power on')).length, 2)
        assert.ok(lines.some(line => line.includes('--- reset by the BMC')))
      })

      it('loses power when forced off', async () => {
        assert.equal((await resetMachine(lab, machine, 'ForceOff')).status, 204)
        await waitForPower(lab, machine, 'Off')
        assert.deepEqual(await processesOf(lab, 'qemu-system'), [])
        assert.equal((await resetMachine(lab, machine, 'ForceRestart')).status, 409)
      })
    })
  }

  it('takes what is typed, and a reboot from inside uses up a boot device set for once', async () => {
    const prompt = /Press Ctrl-B for the iPXE command line/
    const console = connect(lab.machine('node-0').console_socket)
    await once(console, 'connect')
    /** Waits for iPXE, and reboots the machine by its command line. */
    const rebootFromInside = async (since: number): Promise<number> => {
      await lab.waitForSerial('node-0', prompt, { timeoutMs: BOOT_LIMIT_MS, from: since })
      console.write('\x02') // Ctrl-B
      await lab.waitForSerial('node-0', /iPXE>/, { timeoutMs: BOOT_LIMIT_MS, from: since })
      await sleep(2500) // by now the boot counts as begun, and has used up what was set for it
      const from = await lab.serialSize('node-0')
      console.write('reboot\r')
      return from
    }
    await setBoot(lab, 'node-0', 'Pxe', 'Once')
    let from = await lab.serialSize('node-0')
    await resetMachine(lab, 'node-0', 'On')
    await lab.waitForSerial('node-0', prompt, { timeoutMs: BOOT_LIMIT_MS, from })
    await setBoot(lab, 'node-0', 'Pxe', 'Once')
    from = await rebootFromInside(from)
    await lab.waitForSerial('node-0', prompt, { timeoutMs: BOOT_LIMIT_MS, from })
    assert.doesNotMatch((await lab.serialText('node-0', from)).text, /Booting from Hard Disk/)
    assert.equal((await statusOf(lab, 'node-0')).counters.guest_resets, 1)
    from = await rebootFromInside(from)
    await lab.waitForSerial('node-0', prompt, { timeoutMs: BOOT_LIMIT_MS, from })
    assert.match(
      (await lab.serialText('node-0', from)).text,
      /Booting from Hard Disk/,
      'the disk comes before the network',
    )
    console.destroy()
  })

  it('passes the power button on; a shutdown that was to be a restart is followed by a start, any other is not', async () => {
    await resetMachine(lab, 'node-0', 'ForceOff')
    await waitForPower(lab, 'node-0', 'Off')
    await writeBootSector(lab.machine('node-0').disks[0]?.file ?? '')
    const { power_ons, guest_offs } = (await statusOf(lab, 'node-0')).counters
    const offsAndOns = async (): Promise<[number, number]> => {
      const { counters } = await statusOf(lab, 'node-0')
      return [counters.guest_offs - guest_offs, counters.power_ons - power_ons]
    }
    const ready = async (from: number): Promise<void> => {
      await lab.waitForSerial('node-0', /SECTOR READY/, { timeoutMs: BOOT_LIMIT_MS, from })
      await sleep(300) // what it wrote goes out before it listens to the button
    }
    let from = await lab.serialSize('node-0')
    await switchOn(lab, 'node-0')
    await ready(from)
    from = await lab.serialSize('node-0')
    await resetMachine(lab, 'node-0', 'GracefulRestart')
    await ready(from)
    assert.deepEqual(await offsAndOns(), [1, 2])
    for (const type of ['GracefulShutdown', 'PushPowerButton']) {
      await resetMachine(lab, 'node-0', type)
      await waitForPower(lab, 'node-0', 'Off')
      await sleep(1000)
      assert.equal(await powerState(lab, 'node-0'), 'Off', type)
      from = await lab.serialSize('node-0')
      await resetMachine(lab, 'node-0', 'PushPowerButton')
      await ready(from)
    }
    assert.deepEqual(await offsAndOns(), [3, 4])
    await resetMachine(lab, 'node-0', 'ForceOff')
    await waitForPower(lab, 'node-0', 'Off')
    await writeFile(lab.machine('node-0').disks[0]?.file ?? '', Buffer.alloc(512), { flag: 'r+' })
  })

  it('boots from virtual media that the BMC fetched', async () => {
    const script = `require('http').createServer((q, r) => q.url === '/ipxe.iso'
      ? require('fs').createReadStream('/usr/lib/ipxe/ipxe.iso').pipe(r) : r.writeHead(404).end())
      .listen(8080, '${lab.state.network.address}', () => console.log('listening'))`
    const server = lab.spawn(process.execPath, ['-e', script])
    await once(server.stdout ?? server, 'data')
    const cd = '/redfish/v1/Managers/1/VirtualMedia/Cd'
    const insert = (file: string) =>
      bmcCall(lab, 'node-0', {
        method: 'POST',
        path: `${cd}/Actions/VirtualMedia.InsertMedia`,
        body: { Image: `http://${lab.state.network.address}:8080/${file}` },
      })
    const missing = await insert('nothing.iso')
    assert.equal(missing.status, 400)
    assert.match(missing.body.error.message, /nothing\.iso: HTTP status 404/)

    await switchOn(lab, 'node-0')
    assert.equal((await insert('ipxe.iso')).status, 204)
    await setBoot(lab, 'node-0', 'Cd', 'Once')
    const from = await lab.serialSize('node-0')
    await resetMachine(lab, 'node-0', 'ForceRestart')
    await lab.waitForSerial('node-0', /Booting from DVD\/CD[\s\S]*ISOLINUX[\s\S]*iPXE/, {
      timeoutMs: BOOT_LIMIT_MS,
      from,
    })
    const eject = await bmcCall(lab, 'node-0', {
      method: 'POST',
      path: `${cd}/Actions/VirtualMedia.EjectMedia`,
      body: {},
    })
    assert.equal(eject.status, 204)
    assert.deepEqual(
      (await readdir(lab.machine('node-0').directory)).filter(name => name.startsWith('media')),
      [],
    )
    // In the slot of a machine that is off it is there at the next start.
    await resetMachine(lab, 'node-0', 'ForceOff')
    await waitForPower(lab, 'node-0', 'Off')
    assert.equal((await insert('ipxe.iso')).status, 204)
    await setBoot(lab, 'node-0', 'Cd', 'Once')
    const later = await lab.serialSize('node-0')
    await resetMachine(lab, 'node-0', 'On')
    await lab.waitForSerial('node-0', /ISOLINUX/, { timeoutMs: BOOT_LIMIT_MS, from: later })
    server.kill()
  })

  it('shows injected faults to the client and to the machine', async () => {
    await switchOn(lab, 'node-0')
    await lab.fault('node-0', 'bmc-503', '1')
    const path = lab.machine('node-0').bmc.system_path
    assert.equal((await bmcCall(lab, 'node-0', { method: 'GET', path })).status, 503)
    assert.equal((await bmcCall(lab, 'node-0', { method: 'GET', path })).status, 200)

    await lab.fault('node-0', 'bmc-lie', 'Off')
    assert.equal(await powerState(lab, 'node-0'), 'Off')
    await lab.fault('node-0', 'clear')
    assert.equal(await powerState(lab, 'node-0'), 'On')

    await lab.fault('node-0', 'bmc-down')
    await assert.rejects(powerState(lab, 'node-0'), /ECONNREFUSED/)
    await lab.fault('node-0', 'clear')
    assert.equal(await powerState(lab, 'node-0'), 'On')

    await lab.fault('node-0', 'link-down')
    const nic = await bmcCall(lab, 'node-0', { method: 'GET', path: `${path}/EthernetInterfaces/NIC.1` })
    assert.equal(nic.body.LinkStatus, 'LinkDown')
    const from = await lab.serialSize('node-0')
    await setBoot(lab, 'node-0', 'Pxe', 'Once')
    await resetMachine(lab, 'node-0', 'ForceRestart')
    await lab.waitForSerial('node-0', /Waiting for link-up/, { timeoutMs: BOOT_LIMIT_MS, from })
    await lab.fault('node-0', 'clear')

    await lab.fault('node-0', 'kill')
    await waitForPower(lab, 'node-0', 'Off')
    assert.equal((await statusOf(lab, 'node-0')).counters.crashes, 1)
    await assert.rejects(lab.fault('node-0', 'rain'), /found the kind rain, expected one of bmc-delay/)
    await assert.rejects(lab.fault('node-0', 'bmc-delay', 'long'), /found the value long/)
    await assert.rejects(lab.fault('node-9', 'kill'), /node-9/)
  })

  it('lets an address inside be reached from the host, and nothing else', async () => {
    const { bmc } = lab.machine('node-1')
    const { port, close } = await lab.forward(bmc.address, bmc.port)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.destroy()
    await close()
    await assert.rejects(once(connect(port, '127.0.0.1'), 'connect'), /ECONNREFUSED/)
    await assert.rejects(lab.connect(bmc.address, 1), /ECONNREFUSED/)
  })

  it('stands beside another lab with the same addresses', async () => {
    const other = await labUp({ ...tcg, name: 'both', directory: join(work, 'other'), attached: true })
    try {
      assert.notEqual(other.state.namespace, lab.state.namespace)
      assert.equal(other.machine('node-0').bmc.address, lab.machine('node-0').bmc.address)
      assert.equal(await powerState(other, 'node-0'), 'Off') // checks the certificate and password of the other's BMC
      await assert.rejects(labUp({ ...tcg, name: 'both', directory: join(work, 'other') }), /is up there already/)
      assert.equal(await powerState(other, 'node-0'), 'Off')
    } finally {
      await other.down()
    }
    await nothingLeft(other)
    assert.equal(await powerState(lab, 'node-0'), 'Off')
  })
})

describe('the end of a lab', () => {
  it('leaves no process, namespace, interface or file behind', async () => {
    const before = hostInterfaces()
    const lab = await labUp({ ...tcg, name: 'end', directory: join(work, 'end'), attached: true, firmware: 'bios' })
    lab.spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' }).unref()
    await switchOn(lab, 'node-0')
    assert.equal((await processesOf(lab, 'qemu-system')).length, 1)
    await lab.down()
    await nothingLeft(lab)
    assert.deepEqual(hostInterfaces(), before)
  })

  it('can be reached after the supervisor was killed, and takes the machines along', async () => {
    const directory = join(work, 'killed')
    const lab = await labUp({ ...tcg, name: 'killed', directory, attached: true, firmware: 'bios' })
    await switchOn(lab, 'node-0')
    process.kill((await lab.status()).pid, 'SIGKILL')
    const deadline = Date.now() + 5000
    while ((await processesOf(lab, 'qemu-system')).length > 0) {
      assert.ok(Date.now() < deadline, 'the machine ends with its supervisor')
      await sleep(50)
    }
    await assert.rejects(lab.status(), /does not answer/)
    assert.ok((await namespaces()).includes(lab.state.namespace))
    // A new lab in the same place removes what is left of the old one.
    const again = await labUp({ ...tcg, name: 'killed', directory, attached: true, firmware: 'bios' })
    assert.equal(await powerState(again, 'node-0'), 'Off')
    await again.down()
    await nothingLeft(again)
  })

  it('comes by itself when the process that a lab is attached to is killed', async () => {
    const directory = join(work, 'orphan')
    const script = `import { labUp } from '${ROOT}/src/lab/lab.ts'
      await labUp({ name: 'orphan', directory: '${directory}', attached: true, accelerator: 'tcg', powerDelayMs: 0 })
      console.log('up')
      setInterval(() => {}, 1000)`
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(owner.stdout, 'data')
    const { openLab } = await import('#lab/lab.ts')
    const lab = await openLab(directory)
    await switchOn(lab, 'node-0')
    owner.kill('SIGKILL')
    const deadline = Date.now() + 15_000
    while (await exists(directory)) {
      assert.ok(Date.now() < deadline, 'the lab takes itself down')
      await sleep(100)
    }
    await sleep(300)
    await nothingLeft(lab)
  })

  it('comes by command, after a lab that was made by command', async () => {
    const where = ['--name', 'cli', '--directory', join(work, 'cli')]
    const up = await ferrite([
      'lab',
      'up',
      ...where,
      '--bios',
      '--nodes',
      '2',
      '--disk',
      '1:nvme',
      '--accelerator',
      'tcg',
    ])
    assert.equal(up.code, 0, up.text)
    assert.match(up.text, /node-1 {2}bios {2}52:54:/)
    const status = await ferrite(['lab', 'status', ...where, '--json'])
    const { machines, namespace } = JSON.parse(status.text)
    assert.equal(machines.length, 2)
    const exec = await ferrite(['lab', 'exec', ...where, 'ip', '-brief', 'link', 'show', 'master', 'br0'])
    assert.match(exec.text, /tap0-0[\s\S]*tap1-0/)
    assert.equal((await ferrite(['lab', 'fault', ...where, 'node-7', 'kill'])).code, 1)
    const down = await ferrite(['lab', 'down', ...where])
    assert.equal(down.code, 0, down.text)
    assert.equal((await namespaces()).includes(namespace), false)
    assert.equal(await exists(join(work, 'cli')), false)
    assert.equal((await ferrite(['lab', 'status', ...where])).code, 1)
  })
})

/** An operating system in a sector: it says that it is ready, waits for the power button, and switches itself off. */
async function writeBootSector(disk: string): Promise<void> {
  const text = Buffer.from('SECTOR READY\r\n\0')
  const code = Buffer.from(
    '31c08ed8' + // ds = 0
      'be2e7c' + // si = text
      'ac84c07406b40ecd10ebf5' + // write it by the BIOS
      'ba0206b80001ef' + // enable the power button's event (ACPI PM1, at port 600h)
      'ba0006edf6c40174fa' + // until its status is set
      'ba0406b80020ef' + // sleep state 5
      'f4ebfd',
    'hex',
  )
  const sector = Buffer.alloc(512)
  code.copy(sector)
  text.copy(sector, 0x2e)
  sector.set([0x55, 0xaa], 510)
  await writeFile(disk, sector, { flag: 'r+' })
}

async function switchOn(lab: Lab, machine: string): Promise<void> {
  await resetMachine(lab, machine, 'On')
  await waitForPower(lab, machine, 'On')
}

async function statusOf(lab: Lab, machine: string) {
  const found = (await lab.status()).machines.find(({ name }) => name === machine)
  assert.ok(found)
  return found
}

/** Pids of the programs inside the lab's namespace whose command line contains `word`. */
async function processesOf(lab: Lab, word: string): Promise<number[]> {
  const pids = await processes(lab.state.namespace)
  const lines = await Promise.all(pids.map(pid => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return pids.filter((_, index) => lines[index]?.includes(word))
}

async function nothingLeft(lab: Lab): Promise<void> {
  assert.equal((await namespaces()).includes(lab.state.namespace), false, 'the namespace is gone')
  assert.equal(await exists(lab.state.directory), false, 'the state directory is gone')
  // Whoever worked for this lab has its directory on the command line or as working folder.
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    assert.equal(
      line.split('\0').some(word => word.includes(`${lab.state.directory}/`) || word === lab.state.directory),
      false,
      line,
    )
  }
}

const hostInterfaces = (): string[] => Object.keys(networkInterfaces()).sort()

async function ferrite(args: string[]): Promise<{ code: number; text: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'src/main.ts'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  child.stdout.on('data', chunk => {
    text += chunk
  })
  child.stderr.on('data', chunk => {
    text += chunk
  })
  const [code] = await once(child, 'close')
  return { code, text }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
