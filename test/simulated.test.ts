/** The whole path of machines over the real service as a child process: real HTTP to simulated BMCs and agents. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import type { Terminal } from '../src/cli/terminal.ts'
import { simulatedDemo } from '../src/sim/demo.ts'
import { brisk } from '../src/sim/settings.ts'
import { type Node, openSite } from './simulated-site.ts'

const automatedCleaning = ['clean.erase_devices_metadata', 'clean.erase_devices']

describe('over the real service', { concurrency: true }, () => {
  test('three machines go from a BMC address to an instance, to another one, and back to available', async () => {
    await using operator = await openSite({ nodes: 3 })
    const { machines, record, site } = operator
    for (const machine of machines) await site.enrol(machine)
    await operator.bring('manage', 'manageable')
    for (const machine of machines) {
      const node = await operator.node(machine)
      assert.equal(node.power_state, 'power off')
      assert.equal(machine.hardware.powerOns, 0)
    }

    await operator.bring('inspect', 'manageable')
    for (const machine of machines) {
      const { properties, inspection_finished_at: finished } = await operator.node(machine)
      assert.equal((properties as Record<string, unknown>).cpu_arch, 'x86_64')
      assert.notEqual(finished, null)
      const ports = await site.service.api.list('/v1/ports', 'ports', {
        query: { node: machine.name, detail: true },
        limit: 0,
      })
      const byAddress = new Map(ports.map(port => [port.address, port.pxe_enabled]))
      assert.deepEqual(byAddress.get(machine.macs[0]), true)
      assert.deepEqual([...byAddress.keys()].sort(), machine.macs.toSorted())
      assert.deepEqual([machine.hardware.powerOns, machine.running], [1, 'off'])
    }

    await operator.bring('provide', 'available')
    for (const machine of machines) {
      assert.deepEqual(record.steps(machine), automatedCleaning)
      assert.deepEqual([machine.hardware.powerOns, machine.running], [2, 'off'])
    }

    // The last machine gets the image from the service, the others from its source.
    for (const machine of machines) await operator.chooseImage(machine)
    await operator.chooseImage(machines[2]!, { image_download_source: 'local' }) // three were asked for
    const looks = new Map<string, Node[]>()
    await Promise.all(
      machines.map(machine => operator.ask(machine, 'active', { configdrive: 'H4sIAAAAAAAAAwMAAAAAAAAAAAA=' })),
    )
    await Promise.all(
      machines.map(machine =>
        operator.reached(machine, 'active', node =>
          looks.set(machine.name, [...(looks.get(machine.name) ?? []), node]),
        ),
      ),
    )
    for (const machine of machines) {
      await operator.instanceRuns(machine)
      assert.equal(machine.disk?.digest, `sha256:${site.image.sha256}`)
      assert.equal(machine.disk?.configDrive, 'H4sIAAAAAAAAAwMAAAAAAAAAAAA=')
      assert.equal(machine.hardware.powerOns, 4)
      assert.deepEqual(record.steps(machine), [...automatedCleaning, 'deploy.write_image'])
      checkProgress(looks.get(machine.name) ?? [], site.image.sizeBytes)
      const node = await operator.node(machine)
      assert.deepEqual([node.power_state, node.reservation, node.last_error], ['power on', null, null])
      assert.equal(new URL(machine.disk.url).host === new URL(site.image.url).host, machine !== machines[2])
    }

    await operator.bring('rebuild', 'active')
    for (const machine of machines) {
      await operator.instanceRuns(machine)
      assert.deepEqual(record.steps(machine).slice(2), ['deploy.write_image', 'deploy.write_image'])
      assert.equal(machine.hardware.powerOns, 6)
    }

    await operator.bring('deleted', 'available')
    for (const machine of machines) {
      assert.deepEqual(record.steps(machine).slice(4), automatedCleaning)
      assert.deepEqual([machine.hardware.powerOns, machine.running, machine.disk], [7, 'off', null])
      assert.deepEqual((await operator.node(machine)).instance_info, {})
    }
  })

  test('what is wrong with image, BMC or request is named, and the node goes on afterwards', async () => {
    await using operator = await openSite({ nodes: 1, settings: brisk })
    const [machine = assert.fail()] = operator.machines
    const { api } = operator.site.service
    await operator.makeAvailable()
    const fails = async (more: Record<string, unknown>, expected: RegExp) => {
      await operator.chooseImage(machine, more)
      await operator.ask(machine, 'active')
      const node = await waitForFailure()
      assert.match(String(node.last_error), expected)
      assert.deepEqual([machine.running, machine.disk], ['off', null])
    }
    const waitForFailure = async () => {
      let failed: Node | undefined
      await operator
        .reached(machine, 'active', node => {
          if (node.provision_state === 'deploy failed') failed = node
        })
        .catch(error => assert.ok(failed, error))
      return failed ?? assert.fail('it did not fail')
    }

    await operator.chooseImage(machine, { image_source: `${operator.site.image.url}.gone` })
    await assert.rejects(operator.ask(machine, 'active'), /image\.raw\.gone.*404/)
    await fails({ image_os_hash_value: '0'.repeat(64) }, /ImageChecksumError: .*expected 0{64}/)

    const wrong = [{ op: 'replace', path: '/driver_info/redfish_password', value: 'not it' }]
    const right = [{ op: 'replace', path: '/driver_info/redfish_password', value: machine.bmc.password }]
    await api.patch(`/v1/nodes/${machine.name}`, wrong)
    await operator.chooseImage(machine)
    await operator.ask(machine, 'active')
    const refused = String((await waitForFailure()).last_error)
    assert.match(refused, /redfish_password|password|401/)
    assert.doesNotMatch(refused, /not it/)

    await api.patch(`/v1/nodes/${machine.name}`, right)
    await operator.bring('active', 'active')
    await operator.instanceRuns(machine)
  })

  describe('the demo', { concurrency: true }, () => {
    const terminal = () => {
      const written = { out: '', err: '' }
      const streams: Terminal = {
        out: { write: text => (written.out += text) },
        err: { write: text => (written.err += text) },
        env: {},
        readInput: async () => '',
        keys: () => ({ typed: Readable.from([]), release: () => {} }),
        now: () => performance.now(),
        sleep: ms => new Promise(resolve => setTimeout(resolve, ms)),
        interrupted: new AbortController().signal,
      }
      return { written, streams }
    }

    test('ends with 0 and the table of its stages', async () => {
      const { written, streams } = terminal()
      assert.equal(await simulatedDemo({ nodes: 1, settings: brisk, terminal: streams }), 0, written.err)
      for (const stage of ['enrol', 'manage', 'inspect', 'clean', 'deploy', 'instance', 'total']) {
        assert.match(written.out, new RegExp(`^ *${stage} +[0-9.]+$`, 'm'))
      }
    })

    test('ends with 1 and the error of the node when a step fails', async t => {
      const { written, streams } = terminal()
      const settings = { ...brisk, rate: { ...brisk.rate, stepFails: 1 } }
      const directory = await mkdtemp(join(tmpdir(), 'ferrite-demo-'))
      t.after(() => rm(directory, { recursive: true, force: true }))
      assert.equal(await simulatedDemo({ nodes: 1, settings, directory, terminal: streams }), 1)
      assert.match(written.err, /sim-1 is in clean failed: .*Simulated failure of step erase_devices_metadata/)
    })
  })
})

/** While the image was written, callers saw how far it was, and only forwards. */
function checkProgress(looks: readonly Node[], sizeBytes: number): void {
  const seen = looks.flatMap(({ driver_internal_info: internal }) => {
    const { progress } = internal as { progress?: { step: string; bytes: number; total_bytes: number } | null } // as served
    return progress?.step === 'deploy.write_image' ? [progress] : []
  })
  assert.ok(seen.length > 0, 'progress was shown')
  assert.ok(seen.every(progress => progress.total_bytes === sizeBytes))
  const bytes = seen.map(progress => progress.bytes)
  assert.deepEqual(
    bytes,
    bytes.toSorted((a, b) => a - b),
  )
}
