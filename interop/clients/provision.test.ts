/** `baremetal node …` on fake hardware: power, boot device, and every verb from enrol to active and back. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { forClients } from '#lab/host-packages.ts'
import { Baremetal, type Row } from './baremetal.ts'
import { whyMissing } from './packages.ts'
import { whyUnknown } from './programs.ts'
import { type RunningService, startService } from './service.ts'

const skip = await whyMissing(forClients)
const node = 'fake-1'
const polish = '[{"interface": "deploy", "step": "polish"}]'

describe('baremetal node on fake hardware', { skip }, () => {
  let service: RunningService
  let client: Baremetal
  before(async () => {
    service = await startService()
    client = new Baremetal(service)
    await client.ok(`node create --driver fake-hardware --name ${node}`)
  })
  after(() => service[Symbol.asyncDispose]())

  const stateFields = 'power_state provision_state target_provision_state last_error reservation'
  const state = async (): Promise<Row> => client.show(`node show ${node} --fields ${stateFields}`)
  const rests = (power: string, provision: string) => ({
    ...{ power_state: power, provision_state: provision },
    ...{ target_provision_state: null, last_error: null, reservation: null },
  })
  const power = async (target: string): Promise<void> => {
    for (let left = 20; left > 0 && (await state()).power_state !== target; left--) {}
    assert.equal((await state()).power_state, target)
  }

  test('what enroll does not allow is refused', async () => {
    for (const verb of ['provide', 'deploy', 'rebuild', 'undeploy', 'inspect', 'abort']) {
      await client.fails(/enroll.*400/s, `node ${verb} ${node}`)
    }
    await client.fails(/enroll.*400/s, `node clean ${node} --clean-steps`, '[{"interface": "deploy", "step": "x"}]')
    assert.partialDeepStrictEqual(await state(), { provision_state: 'enroll', last_error: null })
  })

  test('manage', async () => {
    assert.match(await client.ok(`node manage ${node} --wait`), /Waiting for provision state manageable/)
    assert.deepEqual(await state(), rests('power off', 'manageable'))
  })

  test('power on, power off, reboot; hard and soft', async () => {
    await client.ok(`node power on ${node}`)
    await power('power on')
    await client.ok(`node power off ${node}`)
    await power('power off')
    await client.ok(`node power on ${node} --power-timeout 30`)
    await power('power on')
    await client.ok(`node power off ${node} --soft --power-timeout 30`)
    await power('power off')
    await client.ok(`node reboot ${node}`)
    await power('power on')
    await client.ok(`node reboot ${node} --soft --power-timeout 30`)
    await power('power on')
    await client.ok(`node inject nmi ${node}`)
    await client.ok(`node power off ${node}`)
    await power('power off')
    await client.fails(/timeout/i, `node power off ${node} --power-timeout 0`)
  })

  test('boot device', async () => {
    const device = () => client.show(`node boot device show ${node}`)
    await client.ok(`node boot device set ${node} pxe`)
    assert.deepEqual(await device(), { boot_device: 'pxe', persistent: false })
    await client.ok(`node boot device set ${node} disk --persistent`)
    assert.deepEqual(await device(), { boot_device: 'disk', persistent: true })
    const { supported_boot_devices: supported } = await client.show(`node boot device show ${node} --supported`)
    assert.match(JSON.stringify(supported), /pxe.*disk/)
    await client.fails(/toaster/, `node boot device set ${node} toaster`)
  })

  test('inspect', async () => {
    await client.ok(`node inspect ${node} --wait`)
    assert.deepEqual(await state(), rests('power off', 'manageable'))
    const { inspection_finished_at: finished } = await client.show(`node show ${node} --fields inspection_finished_at`)
    assert.match(String(finished), /^20\d\d-.*\+00:00$/)
  })

  test('manual cleaning says which step there is not; manage leads out of the failure', async () => {
    await client.fails(/clean failed.*deploy\.polish/s, `node clean ${node} --wait 60 --clean-steps`, polish)
    assert.partialDeepStrictEqual(await state(), { provision_state: 'clean failed' })
    await client.fails(/JSON/i, `node clean ${node} --clean-steps`, '[{')
    await client.ok(`node manage ${node} --wait`)
    // As in Ironic, the error stays until the next action starts.
    assert.partialDeepStrictEqual(await state(), { provision_state: 'manageable', target_provision_state: null })
  })

  test('provide', async () => {
    await client.ok(`node provide ${node} --wait`)
    assert.deepEqual(await state(), rests('power off', 'available'))
  })

  test('deploy, with a config drive as JSON', async () => {
    await client.ok(`node set ${node} --instance-info image_source=http://127.0.0.1/none --instance-info root_gb=1`)
    const drive = { meta_data: { hostname: 'h1' }, user_data: '#cloud-config', network_data: {} }
    const words = ['--config-drive', JSON.stringify(drive)]
    assert.match(await client.ok(`node deploy ${node} --wait`, ...words), /Waiting for provision state active/)
    assert.deepEqual(await state(), rests('power on', 'active'))
    const { instance_info: info } = await client.show(`node show ${node} --fields instance_info`)
    assert.partialDeepStrictEqual(info, { configdrive: '******' })
  })

  test('what active does not allow is refused', async () => {
    for (const verb of ['manage', 'provide', 'deploy', 'inspect']) {
      await client.fails(/active.*400/s, `node ${verb} ${node}`)
    }
    await client.once.fails(/409/, `node delete ${node}`)
    await client.ok(`node set ${node} --protected --protected-reason`, 'somebody lives here')
    await client.fails(/protected.*403/is, `node undeploy ${node}`)
    await client.fails(/protected.*403/is, `node rebuild ${node}`)
    await client.ok(`node unset ${node} --protected`)
  })

  test('rebuild', async () => {
    await client.ok(`node rebuild ${node} --wait`)
    assert.deepEqual(await state(), rests('power on', 'active'))
  })

  test('undeploy', async () => {
    await client.ok(`node undeploy ${node} --wait`)
    assert.deepEqual(await state(), rests('power off', 'available'))
    assert.deepEqual((await client.show(`node show ${node} --fields instance_info`)).instance_info, {})
  })

  test('history tells what happened', async () => {
    const events = await client.list(`node history list ${node}`)
    const texts = events.map(event => String(event.event))
    for (const state of ['manageable', 'clean failed', 'available', 'active']) {
      assert.ok(
        texts.some(text => text.endsWith(`to "${state}"`)),
        `${state} in ${texts.join('; ')}`,
      )
    }
    const [first] = events
    const one = await client.show(`node history get ${node} ${String(first?.uuid)}`)
    assert.partialDeepStrictEqual(one, { uuid: first?.uuid, event: texts[0], severity: 'INFO' })
    const [long] = await client.list(`node history list ${node} --long`)
    assert.partialDeepStrictEqual(long, { uuid: first?.uuid, event: texts[0] })
    assert.ok(Object.keys(long ?? {}).length > Object.keys(first ?? {}).length)
  })

  test('deleting needs a state that allows it, or maintenance', async () => {
    await client.ok(`node delete ${node}`)
    await client.fails(/404/, `node show ${node}`)
  })
})

describe('baremetal node: adoption, rescue, servicing', { skip }, () => {
  let service: RunningService
  let client: Baremetal
  before(async () => {
    service = await startService()
    client = new Baremetal(service)
    await client.ok('node create --driver fake-hardware --name a1')
    await client.ok('node set a1 --instance-info image_source=http://127.0.0.1/none')
    await client.ok('node manage a1 --wait')
  })
  after(() => service[Symbol.asyncDispose]())

  const reaches = async (wanted: string): Promise<void> => {
    let found: unknown
    for (let left = 60; left > 0 && found !== wanted; left--) {
      found = (await client.show('node show a1 --fields provision_state last_error')).provision_state
    }
    assert.equal(found, wanted)
  }

  test('adopt takes a machine that runs as it is', async () => {
    await client.ok('node adopt a1 --wait')
    await reaches('active')
  })

  test('rescue and unrescue', async () => {
    await client.fails(/password/i, 'node rescue a1')
    await client.ok('node rescue a1 --wait --rescue-password secret-for-now')
    await reaches('rescue')
    const { instance_info: info } = await client.show('node show a1 --fields instance_info')
    assert.doesNotMatch(JSON.stringify(info), /secret-for-now/)
    await client.ok('node unrescue a1 --wait')
    await reaches('active')
  })

  test('service with a step that holds, and unhold', { skip: skip || whyUnknown('node service') }, async () => {
    await client.ok('node service a1 --service-steps', '[{"interface": "deploy", "step": "hold"}]')
    await reaches('service hold')
    await client.ok('node unhold a1')
    await reaches('active')
    await client.fails(/service failed.*polish/s, 'node service a1 --wait 60 --service-steps', polish)
    await client.ok('node abort a1')
    await reaches('active')
  })
})
