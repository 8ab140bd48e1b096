/** BIOS settings and firmware components of a node, as its driver read them. Source: REST API reference, "BIOS". */
import { type Static, type TSchema, Type } from 'typebox'
import { fields, Nullable, Time } from './field.ts'
import { Link } from './node.ts'

const MaybeInteger = Nullable(Type.Integer())
const MaybeFlag = Nullable(Type.Boolean())
const MaybeText = Nullable(Type.String())

export const biosFields = fields({
  name: { schema: Type.String(), from: '1.40', column: 'text' },
  value: { schema: MaybeText, from: '1.40', column: 'text' },
  created_at: { schema: Time, from: '1.40', column: 'text' },
  updated_at: { schema: Nullable(Time), from: '1.40', column: 'text' },
  attribute_type: { schema: MaybeText, from: '1.74', column: 'text', doc: 'Enumeration, String, Integer …' },
  allowable_values: { schema: Nullable(Type.Array(Type.String())), from: '1.74', column: 'json' },
  lower_bound: { schema: MaybeInteger, from: '1.74', column: 'int' },
  upper_bound: { schema: MaybeInteger, from: '1.74', column: 'int' },
  min_length: { schema: MaybeInteger, from: '1.74', column: 'int' },
  max_length: { schema: MaybeInteger, from: '1.74', column: 'int' },
  read_only: { schema: MaybeFlag, from: '1.74', column: 'flag' },
  reset_required: { schema: MaybeFlag, from: '1.74', column: 'flag' },
  unique: { schema: MaybeFlag, from: '1.74', column: 'flag', doc: 'its value is this machine’s own' },
  links: { schema: Type.Array(Link), from: '1.40' },
})

export const firmwareFields = fields({
  component: { schema: Type.String(), from: '1.86', column: 'text', doc: 'bios, bmc, nic:…' },
  initial_version: { schema: Type.String(), from: '1.86', column: 'text' },
  current_version: { schema: MaybeText, from: '1.86', column: 'text' },
  last_version_flashed: { schema: MaybeText, from: '1.86', column: 'text' },
  created_at: { schema: Time, from: '1.86', column: 'text' },
  updated_at: { schema: Nullable(Time), from: '1.86', column: 'text' },
  vendor: { schema: MaybeText, from: '1.114', column: 'text' },
  model: { schema: MaybeText, from: '1.114', column: 'text' },
  serial_number: { schema: MaybeText, from: '1.114', column: 'text' },
})

type Described<F extends Record<string, { schema: TSchema }>> = { -readonly [K in keyof F]: Static<F[K]['schema']> }

/** A setting as a driver reads it: its value, and what the firmware's registry says of it. */
export type BiosSetting = Omit<Described<typeof biosFields>, 'created_at' | 'updated_at' | 'links'>

/** A part with firmware as a driver reads it. */
export type FirmwareComponent = Pick<
  Described<typeof firmwareFields>,
  'component' | 'current_version' | 'vendor' | 'model' | 'serial_number'
>
