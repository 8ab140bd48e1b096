/**
 * Lights that show which machine, chassis or disk is meant. Today's firmware has a switch, older one a word.
 *
 * Source: DMTF DSP2046, LocationIndicatorActive, IndicatorLED (deprecated by it); ironic/drivers/modules/redfish/
 * management.py (names of components, restated).
 */
import { Type } from 'typebox'
import { InvalidInput } from '#lib/fault.ts'
import type { Indicator, IndicatorComponent, IndicatorState } from '#protocol/management.ts'
import type { NodeContext } from '../driver.ts'
import { Asker } from './asker.ts'
import { reader } from './client.ts'
import { anyResource, linkOf, listOf, membersOf } from './inspect-resource.ts'
import { Maybe, Text } from './maybe.ts'
import { readSystem } from './system.ts'

const lit = reader(
  'resource with a light',
  Type.Object({ Id: Text, LocationIndicatorActive: Maybe(Type.Boolean()), IndicatorLED: Text }),
)

const words: Readonly<Record<IndicatorState, string>> = { on: 'Lit', off: 'Off', blinking: 'Blinking' }

interface Light extends Indicator {
  path: string
  etag: string | null
  /** It can only be on or off. */
  isSwitch: boolean
}

/** All lights that the BMC tells of. */
export async function readIndicators(ctx: NodeContext): Promise<Light[]> {
  const { client, path, system } = await readSystem(ctx)
  const asker = new Asker(client, ctx.signal)
  const places: [IndicatorComponent, string][] = [['system', path]]
  for (const link of system.Links?.Chassis ?? []) places.push(['chassis', link['@odata.id']])
  for (const storage of await membersOf(asker, system.Storage)) {
    for (const drive of listOf(storage.Drives)) {
      const place = linkOf(drive)?.['@odata.id']
      if (place !== undefined) places.push(['disk', place])
    }
  }
  const lights: Light[] = []
  for (const [component, place] of places) {
    if ((await asker.get(place, anyResource)) === undefined) continue
    const { resource, etag } = await client.get(place, lit, { signal: ctx.signal, fresh: true })
    const { LocationIndicatorActive: active, IndicatorLED: word } = resource
    const isSwitch = typeof active === 'boolean'
    const state = isSwitch ? (active ? 'on' : 'off') : stateOf(word ?? null)
    if (state === undefined) continue
    const name = resource.Id ?? place.split('/').pop() ?? ''
    const states: IndicatorState[] = isSwitch ? ['off', 'on'] : ['off', 'on', 'blinking']
    lights.push({ component, name, state, states, path: place, etag, isSwitch })
  }
  return lights
}

/** @throws InvalidInput for a state that this light cannot show */
export async function setIndicator(
  ctx: NodeContext,
  wanted: Pick<Indicator, 'component' | 'name' | 'state'>,
): Promise<void> {
  const { client } = await readSystem(ctx)
  const light = (await readIndicators(ctx)).find(one => one.component === wanted.component && one.name === wanted.name)
  if (!light) throw new InvalidInput(`The BMC at ${client.origin} has no indicator ${wanted.name}@${wanted.component}`)
  if (light.state === wanted.state) return
  if (!light.states.includes(wanted.state)) {
    throw new InvalidInput(
      `Cannot set indicator ${wanted.name}@${wanted.component} to ${wanted.state}: it can be ${light.states.join(' or ')}`,
    )
  }
  const body = light.isSwitch
    ? { LocationIndicatorActive: wanted.state === 'on' }
    : { IndicatorLED: words[wanted.state] }
  await client.patch(light.path, body, { signal: ctx.signal, etag: light.etag })
}

function stateOf(word: string | null): IndicatorState | undefined {
  const states = Object.keys(words) as IndicatorState[] // its keys are states
  return states.find(state => words[state] === word)
}
