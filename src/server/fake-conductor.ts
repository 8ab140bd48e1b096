/**
 * A conductor for the API's tests: it keeps the contract on real rows (leases, states, power) and touches no machine.
 * Work that would take time is over at once, except where a test holds the lease of a node.
 */

import type { ConductorService, ProvisionRequest } from '#conductor/conductor.ts'
import { noteHeartbeats } from '#db/agents.ts'
import { registerConductor } from '#db/conductors.ts'
import type { Db } from '#db/database.ts'
import { breakLease } from '#db/handover.ts'
import type { Found } from '#db/inspections.ts'
import { deleteNode, dropLease, findInventory, findNode, type Node, takeLease, writeNode } from '#db/nodes.ts'
import type { Port } from '#db/ports.ts'
import { portsByAddress } from '#db/ports.ts'
import type { Clock } from '#lib/clock.ts'
import { Conflict, Forbidden, InvalidInput, NotFound } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'
import { type InterfaceType, interfaceTypes } from '#protocol/interfaces.ts'
import { type BootDevice, powerTargets, stateTarget, type Verb, verbTarget } from '#protocol/states.ts'

/** Interfaces of the two hardware types it knows, the default first. */
const hardware: Readonly<Record<string, Partial<Record<InterfaceType, readonly string[]>>>> = {
  'fake-hardware': {
    power: ['fake'],
    management: ['fake'],
    boot: ['fake', 'ipxe'],
    deploy: ['direct', 'fake'],
    inspect: ['agent', 'fake', 'no-inspect'],
    network: ['noop', 'flat'],
    storage: ['noop'],
    ...Object.fromEntries(
      (['bios', 'console', 'firmware', 'raid', 'rescue', 'vendor'] as const).map(type => [
        type,
        [`no-${type}`, 'fake'],
      ]),
    ),
  },
  redfish: {
    power: ['redfish'],
    management: ['redfish'],
    boot: ['ipxe'],
    console: ['redfish-graphical'],
    raid: ['redfish'],
    deploy: ['direct'],
    inspect: ['agent'],
    network: ['noop'],
    storage: ['noop'],
  },
}

/** Of nodes with the vendor interface `fake`: one that echoes its arguments, and one that has nothing to tell. */
const vendorMethods: Awaited<ReturnType<ConductorService['vendorMethods']>> = {
  echo: { ...quiet(['GET', 'POST']), async: false },
  ring: { ...quiet(['POST']), async: true },
}

const methodsOf = (node: Node): typeof vendorMethods => (node.vendor_interface === 'fake' ? vendorMethods : {})

function quiet(http_methods: string[]) {
  return { http_methods, attach: false, require_exclusive_lock: true, description: 'for tests' }
}

export interface FakeConductor extends ConductorService {
  /** What the API told it, for tests to look at. */
  readonly told: {
    woken: [string, string][]
    vifs: ['attached' | 'detached', string][]
    ports: [string, string[]][]
    validated: string[]
    allocations: string[]
    provisioned: [Verb, ProvisionRequest][]
    planned: [Verb, ProvisionRequest][]
  }
}

export async function fakeConductor(options: { db: Db; clock: Clock; hostname?: string }): Promise<FakeConductor> {
  const { db, clock, hostname = 'host-1' } = options
  const interfaces = Object.entries(hardware).flatMap(([hardware_type, types]) =>
    interfaceTypes.flatMap(interface_type =>
      (types[interface_type] ?? [`no-${interface_type}`]).map((interface_name, index) => ({
        hardware_type,
        interface_type,
        interface_name,
        is_default: index === 0,
      })),
    ),
  )
  await registerConductor(db, { hostname, group: '', nowMs: clock.now(), interfaces })

  const told: FakeConductor['told'] = {
    vifs: [],
    woken: [],
    ports: [],
    validated: [],
    allocations: [],
    provisioned: [],
    planned: [],
  }
  const devices = new Map<string, { boot_device: BootDevice | null; persistent: boolean | null }>()
  const secrets = new Set(['redfish_password', 'snmp_auth_key'])

  const withNode: ConductorService['withNode'] = async (uuid, what, work) => {
    const purpose = typeof what === 'string' ? what : what.purpose
    const nowMs = clock.now()
    const token = await takeLease(db, uuid, { holder: hostname, purpose, nowMs, forMs: 60_000, visible: true })
    try {
      const node = await findNode(db, uuid)
      if (!node) throw new NotFound(`Node ${uuid} could not be found.`)
      return await work({
        node,
        write: patch => writeNode(db, uuid, token, patch, clock.now()),
        delete: () => deleteNode(db, uuid, token),
      })
    } finally {
      await dropLease(db, uuid, token)
    }
  }

  return {
    hostname,
    told,
    withNode,

    async provision(node, verb, request) {
      told.provisioned.push([verb, request])
      if (node.protected && (verb === 'rebuild' || verb === 'deleted')) {
        throw new Forbidden(`Node ${node.uuid} is protected`)
      }
      await withNode(node.uuid, verb, async held => {
        const next = verbTarget(held.node.provision_state, verb)
        if (!next) throw new InvalidInput(`Cannot start ${verb} in state ${held.node.provision_state}`)
        await held.write({ provision_state: next, target_provision_state: stateTarget(next), last_error: null })
      })
    },

    async power(node, target) {
      await withNode(node.uuid, 'power', held =>
        held.write({ power_state: powerTargets[target], target_power_state: null, last_error: null }),
      )
    },

    async validate(node) {
      told.validated.push(node.uuid)
      const one = (type: InterfaceType) =>
        String(node[`${type}_interface`]).startsWith('no-')
          ? { result: false, reason: `The ${type} interface is switched off` }
          : { result: true }
      const all = interfaceTypes.map(type => [type, one(type)])
      return Object.fromEntries(all) as Awaited<ReturnType<ConductorService['validate']>> // one entry for each type
    },

    async bootDevice(node) {
      return devices.get(node.uuid) ?? { boot_device: null, persistent: null }
    },
    async setBootDevice(node, boot_device, { persistent }) {
      if (boot_device === 'floppy') throw new InvalidInput('This machine has no floppy drive')
      devices.set(node.uuid, { boot_device, persistent })
    },
    async supportedBootDevices() {
      return ['pxe', 'disk']
    },
    vendorMethods: async node => methodsOf(node),
    async callVendor(node, { method, httpMethod, args }) {
      const methods = methodsOf(node)
      const known = Object.hasOwn(methods, method) ? methods[method] : undefined
      if (!known?.http_methods.includes(httpMethod)) {
        throw new InvalidInput(`Cannot call node ${node.uuid}: it has no vendor method ${JSON.stringify(method)}`)
      }
      return { async: known.async, result: known.async ? undefined : args }
    },

    async injectNmi(node) {
      if (node.driver === 'redfish') throw new InvalidInput('This machine takes no NMI')
    },

    async indicators() {
      return []
    },
    async setIndicator(node, { name, component }) {
      throw new InvalidInput(`Node ${node.uuid} has no indicator "${name}@${component}"`)
    },
    async checkRaid() {},
    async virtualMedia(node) {
      throw new InvalidInput(`Node ${node.uuid} does not support virtual media`)
    },
    async attachMedia(node) {
      throw new InvalidInput(`Node ${node.uuid} does not support virtual media`)
    },
    async detachMedia(node) {
      throw new InvalidInput(`Node ${node.uuid} does not support virtual media`)
    },

    async plan(node, verb, request, { runbook }) {
      told.planned.push([verb, request])
      return {
        node_uuid: node.uuid,
        node_name: node.name,
        verb,
        flow: 'deploy',
        from_state: node.provision_state,
        to_state: verbTarget(node.provision_state, verb) ?? null,
        ends_in: 'active',
        refusals: node.maintenance ? [{ code: 'invalid-input', message: 'it is in maintenance' }] : [],
        validation: { power: { result: true } },
        steps: [],
        steps_complete: true,
        power: [{ to: 'power on', why: 'for tests' }],
        boots: 1,
        power_complete: true,
        disks: null,
        root_device: null,
        image: null,
        duration: null,
        notes: runbook === undefined ? [] : [`by runbook ${runbook}`],
      }
    },

    async storedImages() {
      const image = { id: 'a'.repeat(64), source: 'http://images.example/a.raw', format: 'raw', size_bytes: 4096 }
      const more = { stored_bytes: 4096, chunked: false, in_use: true, used_at: timestamp(0) }
      return { host: hostname, limit_bytes: 8192, images: [{ ...image, ...more }] }
    },

    async why({ uuid: node_uuid, provision_state }) {
      const nothing = { evidence: [], actions: [] }
      return { node_uuid, provision_state, verdict: 'fine', cause: 'fine', summary: 'Nothing is wrong', ...nothing }
    },

    async unlock(node) {
      const lease = await breakLease(db, node.uuid)
      if (!lease) throw new Conflict(`Cannot unlock node ${node.uuid}: nobody holds it`)
      const { holder, purpose, since } = lease
      return { holder, purpose, since }
    },
    setBootMode: (node, boot_mode) => withNode(node.uuid, 'boot mode', held => held.write({ boot_mode })),
    async setSecureBoot(node, secure_boot) {
      if (node.driver === 'redfish') throw new InvalidInput('This machine has no secure boot')
      await withNode(node.uuid, 'secure boot', held => held.write({ secure_boot }))
    },
    async consoleOf(node) {
      if (node.console_interface === 'no-console') throw new InvalidInput('This machine has no console')
      const type = node.console_interface === 'redfish-graphical' ? 'vnc' : 'shellinabox'
      return node.console_enabled ? { type, url: 'http://127.0.0.1:1' } : null
    },
    async consoleStream(node) {
      if (!node.console_enabled) return null
      // What is typed is shown.
      return person => void person.pipe(person)
    },
    async networkOfVif(_, vif) {
      const [, physical] = /^in-(\w+)/.exec(vif) ?? []
      return physical ? { name: `net-${physical}`, tags: ['of Neutron'], physical_networks: [physical] } : null
    },
    async vifAttached(node, vif) {
      told.vifs.push(['attached', vif])
      if (vif.startsWith('refused'))
        throw new InvalidInput(`Cannot attach VIF ${vif} to node ${node.uuid}: no such port`)
    },
    async vifDetached(_, vif) {
      told.vifs.push(['detached', vif])
    },
    async setConsole(node, console_enabled) {
      if (node.console_interface === 'no-console') throw new InvalidInput('This machine has no console')
      await withNode(node.uuid, 'console', held => held.write({ console_enabled }))
    },

    interfacesFor(driver, given) {
      const types = Object.hasOwn(hardware, driver) ? hardware[driver] : undefined
      if (!types) throw new InvalidInput(`No live conductor serves the hardware type ${driver}`)
      const chosen = interfaceTypes.map(type => {
        const enabled = types[type] ?? [`no-${type}`]
        const name = given[`${type}_interface`] ?? enabled[0]
        if (name === undefined || !enabled.includes(name)) {
          throw new InvalidInput(`${driver} has no ${type} interface ${name}; enabled: ${enabled.join(', ')}`)
        }
        return [`${type}_interface`, name] as const
      })
      return Object.fromEntries(chosen) as Record<`${InterfaceType}_interface`, string> // one entry for each type
    },

    async driverProperties(driver) {
      return driver === 'redfish'
        ? { redfish_address: { description: 'URL of the BMC.', required: true } }
        : { fail: { description: 'What should fail.', required: false } }
    },
    secretKeys: () => secrets,

    async inventory(uuid) {
      return (await findInventory(db, uuid)) as Found | undefined // as tests wrote it
    },
    async inspectionData(data, nodeUuid) {
      const { interfaces } = data.inventory as { interfaces: { mac_address: string }[] } // by its schema
      const [port] = await portsByAddress(
        db,
        interfaces.map(one => one.mac_address),
      )
      const uuid = nodeUuid ?? port?.node_uuid
      const node = uuid === undefined ? undefined : await findNode(db, uuid)
      if (node?.provision_state !== 'inspect wait') throw new NotFound('No node waits for inspection')
      return { uuid: node.uuid }
    },
    allocate(uuid) {
      told.allocations.push(uuid)
    },
    async agentCalled(nodeUuid, token) {
      await noteHeartbeats(db, [{ nodeUuid, token, at: timestamp(clock.now()), count: 1 }])
      told.woken.push([nodeUuid, 'heartbeat'])
    },
    async wake(nodeUuid, event) {
      told.woken.push([nodeUuid, event])
    },
    async portsChanged(node: Node, ports: readonly Port[]) {
      told.ports.push([node.uuid, ports.map(port => port.address)])
    },
  }
}
