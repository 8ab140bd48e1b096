/** Reading a node's driver_info: what is set, as what it should be, and everything that is wrong with it at once. */
import { InvalidInput, messageOf } from '#lib/fault.ts'

export type Info = Readonly<Record<string, unknown>>

export interface SettingsReader {
  /** What `read` gives; where it throws, what it says is noted, and `otherwise` stands in. */
  attempt<T>(read: () => T, otherwise: T): T
  /** Notes something that is wrong between settings. */
  problem(text: string): void
}

/**
 * @param subject what the message begins with: `Cannot use driver_info of node … for …`
 * @throws InvalidInput naming every setting that is missing or wrong
 */
export function readSettings<T>(subject: string, read: (reader: SettingsReader) => T): T {
  const problems: string[] = []
  const settings = read({
    attempt(part, otherwise) {
      try {
        return part()
      } catch (error) {
        problems.push(messageOf(error))
        return otherwise
      }
    },
    problem: text => void problems.push(text),
  })
  if (problems.length === 0) return settings
  throw new InvalidInput(`${subject}: ${problems.join('; ')}`)
}

/** A text that is set; '' counts as unset, numbers (a password of digits, read from YAML) as their digits. */
export function textOf(info: Info, name: string): string | null {
  const value = info[name]
  if (value === undefined || value === null || value === '') return null
  if (typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  throw new InvalidInput(`${name} is ${Array.isArray(value) ? 'a list' : `a ${typeof value}`}, expected a text`)
}

export function oneOf<const C extends string>(info: Info, name: string, choices: readonly C[]): C | null {
  const text = textOf(info, name)
  if (text === null) return null
  const found = choices.find(choice => choice === text)
  if (found) return found
  throw new InvalidInput(`${name} is ${JSON.stringify(text)}, expected one of ${choices.join(', ')}`)
}
