/**
 * BIOS settings of an emulated server: what is in force, what waits for the next start, and the registry that says which
 * values there are. Source: DMTF DSP2046, Bios, AttributeRegistry; DSP0266, "Settings resource".
 */
import { RedfishError } from '../messages.ts'
import { type Resource, ROOT, resource, SYSTEM } from '../resources.ts'
import { at, type Body, members, noContent, parameters, type Route } from '../routes.ts'

type Value = string | number | boolean

/** As an attribute registry describes it. */
interface Attribute {
  AttributeName: string
  Type: 'Enumeration' | 'Integer' | 'Boolean' | 'String'
  DefaultValue: Value
  ReadOnly?: boolean
  ResetRequired?: boolean
  IsSystemUniqueProperty?: boolean
  Value?: { ValueName: string }[]
  LowerBound?: number
  UpperBound?: number
  MinLength?: number
  MaxLength?: number
}

const BIOS = `${SYSTEM}/Bios`
const REGISTRY = 'LabBios.v1_0_0'
const choice = (...values: string[]) => values.map(ValueName => ({ ValueName }))

const attributes: readonly Attribute[] = [
  {
    AttributeName: 'BootMode',
    Type: 'Enumeration',
    DefaultValue: 'Uefi',
    Value: choice('Uefi', 'Bios'),
    ResetRequired: true,
  },
  { AttributeName: 'ProcTurbo', Type: 'Enumeration', DefaultValue: 'Enabled', Value: choice('Enabled', 'Disabled') },
  { AttributeName: 'PowerDelay', Type: 'Integer', DefaultValue: 0, LowerBound: 0, UpperBound: 60 },
  { AttributeName: 'QuietBoot', Type: 'Boolean', DefaultValue: true },
  {
    AttributeName: 'AssetText',
    Type: 'String',
    DefaultValue: '',
    MinLength: 0,
    MaxLength: 16,
    IsSystemUniqueProperty: true,
  },
  { AttributeName: 'BoardRevision', Type: 'String', DefaultValue: 'A1', ReadOnly: true },
]

export class BiosSettings {
  readonly current = new Map<string, Value>(attributes.map(one => [one.AttributeName, one.DefaultValue]))
  #pending = new Map<string, Value>()
  /** Settings that the firmware drops when it starts, for tests of what a client makes of that. */
  readonly dropped = new Set<string>()

  /** The firmware starts and takes what waits. */
  onReset(): void {
    for (const [name, value] of this.#pending) if (!this.dropped.has(name)) this.current.set(name, value)
    this.#pending = new Map()
  }

  get routes(): Route[] {
    return [
      { path: at(BIOS), get: () => this.#bios() },
      {
        path: at(`${BIOS}/Settings`),
        get: () =>
          resource(`${BIOS}/Settings`, 'Bios.v1_2_1.Bios', 'BIOS settings of the next start', {
            AttributeRegistry: REGISTRY,
            Attributes: Object.fromEntries(this.#pending),
          }),
        patch: ({ body }) => this.#change(body),
      },
      {
        path: at(`${BIOS}/Actions/Bios.ResetBios`),
        post: ({ body }) => {
          parameters('Bios.ResetBios', body, [])
          this.#pending = new Map(
            attributes.filter(one => !one.ReadOnly).map(one => [one.AttributeName, one.DefaultValue]),
          )
          return noContent()
        },
      },
      members(`${ROOT}/Registries`, 'MessageRegistryFile', () => [REGISTRY]),
      {
        path: at(`${ROOT}/Registries/${REGISTRY}`),
        get: () =>
          resource(
            `${ROOT}/Registries/${REGISTRY}`,
            'MessageRegistryFile.v1_1_3.MessageRegistryFile',
            'BIOS attributes',
            {
              Registry: REGISTRY,
              Languages: ['en'],
              Location: [{ Language: 'en', Uri: `${ROOT}/Registries/${REGISTRY}.json` }],
            },
          ),
      },
      {
        path: at(`${ROOT}/Registries/${REGISTRY}.json`),
        get: () => ({
          '@odata.type': '#AttributeRegistry.v1_3_8.AttributeRegistry',
          Id: REGISTRY,
          RegistryEntries: { Attributes: attributes },
        }),
      },
    ]
  }

  #bios(): Resource {
    return resource(BIOS, 'Bios.v1_2_1.Bios', 'BIOS settings', {
      AttributeRegistry: REGISTRY,
      Attributes: Object.fromEntries(this.current),
      '@Redfish.Settings': {
        SettingsObject: { '@odata.id': `${BIOS}/Settings` },
        SupportedApplyTimes: ['OnReset'],
      },
      Actions: { '#Bios.ResetBios': { target: `${BIOS}/Actions/Bios.ResetBios` } },
    })
  }

  /** All or nothing. */
  #change(body: Body): void {
    for (const name of Object.keys(body)) {
      if (name !== 'Attributes' && name !== '@Redfish.SettingsApplyTime')
        throw new RedfishError('PropertyUnknown', name)
    }
    const { Attributes: wanted } = body
    if (typeof wanted !== 'object' || wanted === null) {
      throw new RedfishError('PropertyValueTypeError', JSON.stringify(wanted ?? null), 'Attributes', 'an object')
    }
    for (const [name, value] of Object.entries(wanted)) check(name, value)
    for (const [name, value] of Object.entries(wanted)) this.#pending.set(name, value as Value) // just checked
  }
}

function check(name: string, value: unknown): void {
  const attribute = attributes.find(one => one.AttributeName === name)
  if (!attribute) throw new RedfishError('PropertyUnknown', name)
  if (attribute.ReadOnly) throw new RedfishError('PropertyNotWritable', name)
  const wrong = (expected: string) => {
    throw new RedfishError('PropertyValueNotInList', JSON.stringify(value), name, expected)
  }
  const { Type, Value: choices = [], LowerBound = 0, UpperBound = 0, MaxLength = 0 } = attribute
  if (Type === 'Enumeration' && !choices.some(one => one.ValueName === value)) {
    wrong(choices.map(one => one.ValueName).join(', '))
  }
  if (Type === 'Boolean' && typeof value !== 'boolean') wrong('true, false')
  const isInteger = typeof value === 'number' && Number.isInteger(value)
  if (Type === 'Integer' && !(isInteger && value >= LowerBound && value <= UpperBound))
    wrong(`${LowerBound}-${UpperBound}`)
  if (Type === 'String' && !(typeof value === 'string' && value.length <= MaxLength))
    wrong(`at most ${MaxLength} characters`)
}
