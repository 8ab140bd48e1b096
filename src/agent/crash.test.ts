import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { bundleAgent } from '#ramdisk/agent-bundle.ts'
import { startAgent } from './agent-process.ts'
import { startFakeIronic } from './fake-ironic.ts'
import { serveImage } from './image-server.ts'
import { makeDiskImage, makeLoopDisk, needsRoot } from './loop-disk.ts'

const MIB = 1024 * 1024

function startOf(device: string): Buffer {
  const buffer = Buffer.alloc(MIB)
  const handle = openSync(device, 'r')
  readSync(handle, buffer, 0, MIB, 0)
  closeSync(handle)
  return buffer
}

describe('an agent killed in the middle of writing', { skip: needsRoot }, () => {
  for (const format of ['raw', 'qcow2'] as const) {
    test(`${format}: same token and certificate, command FAILED, disk not bootable, next command works`, async t => {
      const dir = mkdtempSync(join(tmpdir(), 'ferrite-crash-'))
      const raw = join(dir, 'raw')
      const bundle = join(dir, 'agent.mjs')
      await bundleAgent({ outFile: bundle })
      makeDiskImage(raw, { sizeMib: 48, label: 'dos' })
      const handle = openSync(raw, 'r+')
      writeSync(handle, randomBytes(40 * MIB), 0, 40 * MIB, 2 * MIB)
      closeSync(handle)
      const qcow2 = join(dir, 'qcow2')
      if (format === 'qcow2') execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, qcow2])
      const content = readFileSync(format === 'raw' ? raw : qcow2)
      const disk = makeLoopDisk(64)
      const server = await serveImage(content)
      const ironic = await startFakeIronic()
      const agent = startAgent(bundle, ironic, { devices: [disk.device] })
      t.after(async () => {
        await agent.remove()
        await ironic.close()
        await server.close()
        disk.remove()
        rmSync(dir, { recursive: true })
      })
      await ironic.heartbeat(1)

      const node = { uuid: 'u', properties: { root_device: { name: disk.device } }, instance_info: {} }
      const checksum = createHash('sha256').update(content).digest('hex')
      const image_info = { id: 'disk.img', urls: [server.url], disk_format: format, checksum }
      const step = { step: 'write_image', interface: 'deploy', args: { image_info, configdrive: null } }
      const write = () => agent.command('deploy.execute_deploy_step', { step, node, ports: [] })

      server.slowMs = format === 'raw' ? 20 : 0
      await write()
      // Raw: in mid-stream. qcow2: as soon as the converter is at work.
      for (;;) {
        if (format === 'qcow2' && existsSync(join(agent.dir, 'state/writing.json'))) break
        const [running] = await agent.commands()
        assert.equal(running?.command_status, 'RUNNING', JSON.stringify(running))
        const { progress } = running
        if (format === 'raw' && progress?.phase === 'write' && progress.bytes > 8 * MIB) {
          assert.equal(progress.total_bytes, content.length)
          assert.ok(progress.rate_bytes_per_s > 0)
          break
        }
        await sleep(10)
      }
      await agent.kill()
      const beats = ironic.heartbeats.length
      agent.start()
      // The fake API refuses another token, certificate or address, as Ironic does.
      await ironic.heartbeat(beats + 1)

      const [command, ...others] = await agent.commands()
      assert.equal(others.length, 0)
      assert.equal(command?.command_name, 'execute_deploy_step')
      assert.equal(command?.command_status, 'FAILED')
      assert.equal(
        command?.command_error?.details,
        'The agent process was restarted while execute_deploy_step was running; how far it came is not known',
      )
      assert.ok(
        startOf(disk.device).every(byte => byte === 0),
        'the half image could boot',
      )
      assert.equal(ironic.lookups.length, 1)

      server.slowMs = 0
      await write()
      const second = await agent.ended()
      assert.equal(second.command_status, 'SUCCEEDED', JSON.stringify(second.command_error))
      const written = Buffer.alloc(48 * MIB)
      const reader = openSync(disk.device, 'r')
      readSync(reader, written, 0, written.length, 0)
      closeSync(reader)
      assert.ok(written.equals(readFileSync(raw)))
      const { command_result: uuids } = await agent.command('standby.get_partition_uuids', {}, true)
      assert.deepEqual(uuids, { 'root uuid': '0x1badb002' })
    })
  }
})
