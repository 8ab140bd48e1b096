/**
 * Part of `npm run interop:redfish`: images on an NFS export and on a CIFS share, by servers that nobody here wrote. The
 * driver publishes, the lab's BMC is told, and fetches as the lab's machines have it fetched.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { DeployInterface } from '#drivers/driver.ts'
import { openPort } from '#drivers/redfish/fake-bmc.ts'
import management from '#drivers/redfish/management.ts'
import virtualMedia from '#drivers/redfish/virtual-media.ts'
import { testContext } from '#drivers/test-context.ts'
import { ensureHostPackages, forShares } from '#lab/host-packages.ts'
import { fetchMedia } from '#lab/media.ts'
import { FakeHardware } from '#lab/redfish/fake-hardware.ts'
import type { MediaLogin } from '#lab/redfish/hardware.ts'
import { redfishService } from '#lab/redfish/service.ts'
import { type Shares, startShares } from './shares.ts'

const account = { username: 'admin', password: 'of the BMC' }

let top = ''
let shares: Shares
before(async () => {
  await ensureHostPackages(forShares, line => console.log(line))
  top = await mkdtemp(join(tmpdir(), 'f-shares-'))
  shares = await startShares(top)
})
after(async () => {
  await shares?.[Symbol.asyncDispose]()
  await rm(top, { recursive: true, force: true })
})

/** Fetches for real, as the machines of the lab do. */
class FetchingHardware extends FakeHardware {
  file: Buffer | null = null

  override async insertMedia(image: string, login?: MediaLogin): Promise<void> {
    const file = join(top, 'fetched')
    await fetchMedia(image, file, login)
    this.file = await readFile(file)
    await super.insertMedia(image)
  }
}

for (const protocol of ['NFS', 'CIFS'] as const) {
  test(`a BMC fetches an image by ${protocol}, and tells why it cannot`, { timeout: 120_000 }, async () => {
    const iso = randomBytes(3_000_000)
    await writeFile(join(top, 'ready.iso'), iso)
    const hardware = new FetchingHardware()
    await using port = await openPort(redfishService({ hardware, account, now: Date.now }))
    const share = { base_url: protocol === 'NFS' ? shares.nfsUrl : shares.cifsUrl, share_path: shares.directory }
    const context = (login: { username: string; password: string }) =>
      testContext({
        ports: [{ address: '52:54:00:00:00:01' }],
        node: {
          network_data: {},
          driver_info: {
            redfish_address: port.url,
            redfish_username: account.username,
            redfish_password: account.password,
            redfish_tls_fingerprint: port.fingerprint,
            deploy_iso: `file://${top}/ready.iso`,
            vmedia_transport_protocol: protocol,
          },
        },
        config: {
          DEFAULT: { state_path: top },
          deploy: { http_root: join(top, 'http') },
          conductor: { file_url_allowed_paths: [top] },
          redfish: { connection_attempts: 1 },
          ...(protocol === 'NFS' ? { nfs: share } : { cifs: { ...share, ...login } }),
        },
        interfaces: { management, deploy: {} as DeployInterface }, // nothing of it is asked for a ramdisk
      })
    const options = { mode: 'deploy', parameters: {} } as const
    await using ctx = await context(shares.login)
    await virtualMedia.validate(ctx)
    await virtualMedia.prepareRamdisk(ctx, options)
    assert.ok(hardware.file?.equals(iso))
    await virtualMedia.cleanUpRamdisk(ctx)
    assert.equal(hardware.media(), null)

    await assert.rejects(fetchMedia(`${share.base_url}/none.iso`, join(top, 'none'), shares.login), /none\.iso/)
    if (protocol === 'NFS') return
    await using wrong = await context({ username: 'root', password: 'wrong password' })
    await assert.rejects(virtualMedia.prepareRamdisk(wrong, options), (error: Error) => {
      assert.match(error.message, /LOGON_FAILURE/)
      assert.doesNotMatch(error.message, /wrong password/)
      return true
    })
  })
}
