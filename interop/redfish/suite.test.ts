/**
 * `npm run interop:redfish`: the driver does the same things to our emulator and to one that nobody here wrote. What a
 * service does not have, the driver has to say in so many words; both count as passed, and only one of them may come.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type NodeContext, Unsupported } from '#drivers/driver.ts'
import bios from '#drivers/redfish/bios.ts'
import firmware from '#drivers/redfish/firmware.ts'
import management from '#drivers/redfish/management.ts'
import power from '#drivers/redfish/power.ts'
import { readControllers } from '#drivers/redfish/raid-resources.ts'
import { type TestContext, testContext } from '#drivers/test-context.ts'
import { systemClock } from '#lib/clock.ts'
import { ownService, type Service, sushyService } from './services.ts'

suite('our emulator', ownService)
suite('sushy-tools', sushyService)

function suite(name: string, start: () => Promise<Service | { missing: string }>): void {
  describe(name, { timeout: 300_000 }, () => {
    let service: Service | undefined
    let missing: string | undefined
    let ctx: TestContext & NodeContext
    /** A web server with an image that a BMC may want to look at. */
    const images = createServer((_request, response) => response.end('an ISO'))
    let imageUrl = ''

    before(async () => {
      const started = await start()
      if ('missing' in started) {
        missing = started.missing
        return
      }
      service = started
      images.listen(0, '127.0.0.1')
      await once(images, 'listening')
      imageUrl = `http://127.0.0.1:${(images.address() as AddressInfo).port}/boot.iso` // it listens on TCP
      const systems = (await (
        await fetch(`${service.url}/redfish/v1/Systems`, { headers: basic(service) })
      ).json()) as {
        Members: { '@odata.id': string }[] // by the standard
      }
      const made = await testContext({
        node: {
          driver_info: {
            redfish_address: service.url,
            redfish_system_id: systems.Members[0]?.['@odata.id'],
            ...service.account,
          },
        },
        interfaces: { power, management },
        // Emulators answer at once what they answer at all.
        config: { redfish: { connection_attempts: 2, connection_retry_interval: 1 } },
      })
      // Time is the service's, too.
      ctx = Object.assign(made, { clock: systemClock })
      console.log(`the service is ${service.name}`)
    })
    after(async () => {
      images.close()
      await ctx?.[Symbol.asyncDispose]()
      await service?.[Symbol.asyncDispose]()
    })

    const it = (what: string, work: () => Promise<void>) =>
      test(what, async t => {
        if (missing !== undefined) return t.skip(`it cannot be had here: ${missing.split('\n')[0]}`)
        await work()
      })

    it('switches the machine on, resets it, and switches it off', async () => {
      const reached = async (wanted: string) => {
        for (const endMs = Date.now() + 60_000; (await power.get(ctx)) !== wanted; await sleep(200)) {
          assert.ok(Date.now() < endMs, `${wanted}, but it is ${await power.get(ctx)}`)
        }
      }
      await power.validate(ctx)
      for (const target of ['power on', 'power off', 'power off', 'power on'] as const) {
        await power.set(ctx, target)
        await reached(target)
      }
      await power.set(ctx, 'reset')
      await reached('power on')
      await power.set(ctx, 'soft power off')
      await reached('power off')
    })

    it('sets boot devices for once and for good', async () => {
      const offered = await management.supportedBootDevices(ctx)
      assert.ok(offered.includes('pxe') && offered.includes('disk'), offered.join(', '))
      for (const [device, persistent] of [
        ['pxe', false],
        ['disk', true],
        ['cdrom', false],
      ] as const) {
        await management.setBootDevice(ctx, device, { persistent })
        const shown = service?.showsNoOnce ? true : persistent
        assert.deepEqual(await management.getBootDevice(ctx), { boot_device: device, persistent: shown })
      }
    })

    it('knows the boot mode, the maker, the health and the cards', async () => {
      assert.ok(['uefi', 'bios'].includes((await management.getBootMode(ctx)) ?? ''))
      assert.ok((await management.getVendor(ctx)) !== undefined)
      assert.equal(await management.getHealth(ctx), 'OK')
      for (const mac of await management.macAddresses(ctx)) assert.match(mac, /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/)
    })

    it('inserts an image, sees it, and ejects it', async () => {
      const media = management.virtualMedia
      assert.ok(media)
      const cds = async () =>
        (await media.list(ctx)).filter(one => one.media_types.includes('CD') && one.inserted).length
      await media.attach(ctx, 'cdrom', { url: imageUrl, local: false })
      assert.equal(await cds(), 1)
      await media.attach(ctx, 'cdrom', { url: imageUrl, local: false })
      assert.equal(await cds(), 1, 'the former one was taken out')
      await media.detach(ctx, ['cdrom'])
      assert.equal(await cds(), 0)
      await media.detach(ctx, null)
    })

    it('switches secure boot, or says that there is none', async () => {
      await orUnsupported(async () => {
        await management.setSecureBoot?.(ctx, true)
        await management.setSecureBoot?.(ctx, false)
      })
    })

    it('injects an NMI', async () => {
      await power.set(ctx, 'power on')
      await orUnsupported(() => management.injectNmi(ctx))
      await power.set(ctx, 'power off')
    })

    it('reads BIOS settings, firmware, drives and lights, or says what is not there', async () => {
      await orUnsupported(async () => {
        const settings = await bios.readSettings(ctx)
        for (const { name, value } of settings) assert.ok(name !== '' && value !== undefined)
      })
      const components = await firmware.readComponents(ctx)
      assert.ok(
        components.some(one => one.component === 'bmc'),
        JSON.stringify(components),
      )
      for (const controller of await readControllers(ctx)) assert.ok(controller.volumesPath.startsWith('/redfish/v1/'))
      for (const light of (await management.getIndicators?.(ctx)) ?? []) assert.ok(light.states.includes(light.state))
    })

    it('switches a light', async () => {
      const [light] = (await management.getIndicators?.(ctx)) ?? []
      if (!light) return
      const { component, name } = light
      const state = light.state === 'on' ? 'off' : 'on'
      await management.setIndicator?.(ctx, { component, name, state })
      const now = (await management.getIndicators?.(ctx))?.find(one => one.component === component && one.name === name)
      assert.equal(now?.state, state)
    })
  })
}

async function orUnsupported(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof Unsupported)) throw error
    console.log(`not there: ${error.message}`)
  }
}

function basic({ account }: Service): Record<string, string> {
  if (!account) return {}
  const pair = `${account.redfish_username}:${account.redfish_password}`
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}
