/**
 * `npm run interop:redfish`: our emulator judged by the Redfish interoperability profile that Ironic publishes. pip fetches
 * Ironic's source for it; nothing of it is kept. Printed: what is not met, and which resource types our driver asks for.
 */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import bios from '#drivers/redfish/bios.ts'
import firmware from '#drivers/redfish/firmware.ts'
import management from '#drivers/redfish/management.ts'
import power from '#drivers/redfish/power.ts'
import { readControllers } from '#drivers/redfish/raid-resources.ts'
import vendor from '#drivers/redfish/vendor.ts'
import { testContext } from '#drivers/test-context.ts'
import { ensureHostPackages, forNewestClients, HostPackagesMissing } from '#lab/host-packages.ts'
import { CommandFailed, run } from '#lib/run.ts'
import { crawl, judge, type Profile, typeOf } from './profile.ts'
import { ownService, type Service } from './services.ts'

/** Every kind of requirement, once. */
const profile: Profile = {
  ProfileName: 'test',
  ProfileVersion: '1',
  Resources: {
    ComputerSystem: {
      MinVersion: '1.5.0',
      PropertyRequirements: {
        PowerState: {},
        Boot: {
          PropertyRequirements: {
            Target: { MinSupportValues: ['Pxe', 'Cd'] },
            Mode: { ReadRequirement: 'Recommended' },
          },
        },
        Storage: { Comparison: 'LinkToResource', Values: ['StorageCollection'] },
        Bios: { ReplacesProperty: 'OldBios' },
      },
      ActionRequirements: { Reset: {}, Other: {} },
    },
    Chassis: {},
  },
}

test('the judge tells what is met, what is not, and what is there instead', () => {
  const system = {
    '@odata.type': '#ComputerSystem.v1_4_0.ComputerSystem',
    PowerState: 'On',
    Boot: { Target: 'None', 'Target@Redfish.AllowableValues': ['None', 'Pxe'] },
    Storage: { '@odata.id': '/redfish/v1/Storage' },
    OldBios: {},
    Actions: { '#ComputerSystem.Reset': {} },
  }
  const storage = { '@odata.type': '#SimpleStorageCollection.SimpleStorageCollection' }
  const findings = judge(
    profile,
    new Map<string, Record<string, unknown>>([
      ['/s', system],
      ['/redfish/v1/Storage', storage],
    ]),
  )
  const told = findings.map(
    ({ requirement, level, isMet, found }) => `${requirement} ${level} ${isMet ? 'met' : 'not met'}: ${found}`,
  )
  assert.deepEqual(told, [
    'ComputerSystem from 1.5.0 Mandatory not met: 1.4.0',
    'ComputerSystem.PowerState Mandatory met: there',
    'ComputerSystem.Boot Mandatory met: there',
    'ComputerSystem.Boot.Target Mandatory not met: without Cd',
    'ComputerSystem.Boot.Mode Recommended not met: no such property',
    'ComputerSystem.Storage Mandatory not met: leads to /redfish/v1/Storage, expected StorageCollection',
    'ComputerSystem.Bios Mandatory met: OldBios in its place',
    'ComputerSystem.Reset() Mandatory met: #ComputerSystem.Reset',
    'ComputerSystem.Other() Mandatory not met: #ComputerSystem.Reset',
    'Chassis Mandatory not met: no such resource',
  ])
})

test("our emulator meets what Ironic's profile demands of a BMC", { timeout: 300_000 }, async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-profile-'))
  try {
    const published = await ironicsProfile(folder)
    if ('missing' in published) return t.skip(`the profile cannot be had here: ${published.missing.split('\n')[0]}`)
    await using service = await ownService()
    const resources = await crawl(path => fetchFrom(service, path))
    const types = await askedTypes(service, resources)
    const findings = judge(published, resources)
    const unmet = findings.filter(finding => !finding.isMet)
    const at = (level: string) => unmet.filter(finding => finding.level === level)
    const said = [
      `${published.ProfileName} ${published.ProfileVersion}, ${resources.size} resources, ${findings.length} requirements, ` +
        `${findings.length - unmet.length} met; not met: ${at('Mandatory').length} mandatory, ${at('Recommended').length} recommended`,
      ...unmet.map(
        ({ requirement, level, path, found }) => `  ${level}: ${requirement} (${path ?? 'nowhere'}): ${found}`,
      ),
      `our driver asks for: ${types.filter(type => type in published.Resources).join(', ')}`,
      `and beyond the profile: ${types.filter(type => !(type in published.Resources)).join(', ')}`,
      `of the profile it asks not for: ${Object.keys(published.Resources)
        .filter(type => !types.includes(type))
        .join(', ')}`,
    ]
    console.log(said.join('\n'))
    assert.deepEqual(
      at('Mandatory').map(({ requirement, path }) => `${requirement} ${path}`),
      notMet,
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

/** The disks of a machine of QEMU are at no RAID controller: there are no volumes to be had, and none are made up. */
const notMet = [
  'Storage.Controllers /redfish/v1/Systems/1/Storage/1',
  'Storage.Volumes /redfish/v1/Systems/1/Storage/1',
]

/** The newest profile in Ironic's source package. */
async function ironicsProfile(folder: string): Promise<Profile | { missing: string }> {
  const pip = join(folder, 'venv/bin/pip')
  try {
    await ensureHostPackages(forNewestClients, line => console.log(line))
    await run('/usr/bin/python3', ['-m', 'venv', join(folder, 'venv')])
    // pip looks into a source package before it hands it out, with the tools that the package is built with.
    await run(pip, ['install', '--quiet', '--retries', '1', '--upgrade', 'setuptools', 'pbr', 'wheel'])
    const source = ['--no-deps', '--no-binary', 'ironic', '--no-build-isolation', '--dest', folder]
    await run(pip, ['download', '--quiet', '--retries', '1', ...source, 'ironic'])
    const [archive = ''] = globSync(join(folder, 'ironic-*.tar.gz'))
    await run('tar', ['-xzf', archive, '-C', folder, '--wildcards', '*/redfish-interop-profiles/*.json'])
  } catch (error) {
    if (error instanceof CommandFailed || error instanceof HostPackagesMissing) return { missing: error.message }
    throw error
  }
  const newest = globSync(join(folder, '*/redfish-interop-profiles/OpenStackIronicProfile.*.json')).sort().at(-1)
  if (newest === undefined) return { missing: "Ironic's source package has no profile any more" }
  return JSON.parse(await readFile(newest, 'utf8')) as Profile // as DSP0272 has it
}

async function fetchFrom({ url, account }: Service, path: string): Promise<Record<string, unknown> | undefined> {
  const pair = `${account?.redfish_username}:${account?.redfish_password}`
  const authorization = `Basic ${Buffer.from(pair).toString('base64')}`
  const response = await fetch(`${url}${path}`, { headers: { authorization } })
  return response.ok ? ((await response.json()) as Record<string, unknown>) : undefined // a resource is an object
}

/** Types of the resources that the driver asks for when it does all that it does without changing a machine. */
async function askedTypes(
  service: Service,
  resources: ReadonlyMap<string, Record<string, unknown>>,
): Promise<string[]> {
  const asked = service.asked as Set<string> // our own service tells
  asked.clear()
  await using ctx = await testContext({
    node: { driver_info: { redfish_address: service.url, ...service.account } },
    interfaces: { power, management },
  })
  await power.get(ctx)
  await bios.readSettings(ctx)
  await firmware.readComponents(ctx)
  await readControllers(ctx)
  await management.macAddresses(ctx)
  await management.getSensors?.(ctx)
  await management.getIndicators?.(ctx)
  await management.virtualMedia?.list(ctx)
  await management.setSecureBoot?.(ctx, true)
  await vendor.methods.get_all_subscriptions.run(ctx, {})
  const types = [...asked].map(path => typeOf(resources.get(path) ?? resources.get(`${path}/`) ?? {}))
  return [...new Set(types)].filter(type => type !== '').sort()
}
