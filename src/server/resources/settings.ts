/**
 * The configuration that is in effect, each option with what it means: Ferrite's own. Values of secret options never
 * leave, and passwords in URLs are masked.
 */
import { Type } from 'typebox'
import { isDerived } from '#config/kinds.ts'
import { optionGroups } from '#config/options.ts'
import { maskText } from '#lib/mask.ts'
import { Nullable } from '#protocol/field.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'

const Setting = Type.Object({
  group: Type.String(),
  name: Type.String(),
  /** As a file of the configuration has it; null: unset, or secret. */
  value: Nullable(Type.String()),
  is_set_secret: Type.Boolean(),
  is_default: Type.Boolean(),
  default: Nullable(Type.String()),
  expected: Type.String(),
  help: Type.String(),
  /** Read again on SIGHUP. */
  mutable: Type.Boolean(),
  /** Some code acts on it. */
  effective: Type.Boolean(),
})

function allSettings(config: object) {
  // Every group that the service reads is in its configuration; a test's may have fewer.
  const values = config as Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>
  return Object.entries(optionGroups).flatMap(([group, members]) =>
    Object.entries(members).flatMap(([name, option]) => {
      const held = values[group]
      if (held === undefined) return []
      const value = held[name] ?? null
      const isSecret = option.secret === true
      const print = (one: unknown) => (one === null ? null : maskText(option.print(one)))
      const standard = isDerived(option.default) ? option.default.text : print(option.default)
      return [
        {
          group,
          name,
          value: isSecret ? null : print(value),
          is_set_secret: isSecret && value !== null && value !== '',
          is_default: isDerived(option.default) ? false : JSON.stringify(value) === JSON.stringify(option.default),
          default: isSecret ? null : standard,
          expected: option.expected,
          help: option.help,
          mutable: option.mutable ?? false,
          effective: option.effective ?? false,
        },
      ]
    }),
  )
}

export const settings: readonly Endpoint[] = [
  endpoint({
    id: 'settings.list',
    method: 'GET',
    path: '/v1/settings',
    from: '1.1',
    status: 200,
    policy: ['baremetal:settings:get'],
    response: Type.Object({ settings: Type.Array(Setting) }),
    doc: "Ferrite's own: every option with its value in effect and its meaning; secrets are left out.",
    handle(call) {
      call.allow(null)
      return { json: JSON.stringify({ settings: allSettings(call.config) }) }
    },
  }),
]
