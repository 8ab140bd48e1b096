/**
 * Regular expressions of rules, with a limit: one that would take for ever on a text that a machine sent is broken off,
 * because everything else waits for it meanwhile.
 */
import { Script } from 'node:vm'
import { Fault } from '#lib/fault.ts'
import { compileRuleRegex } from '#protocol/rule-regex.ts'

/** An expression is wrong, or takes too long on what was found. */
export class RegexRefused extends Fault {
  readonly status = 400
  readonly code = 'rule-regex'
}

export const regexLimitMs = 100

/** Does the expression match the whole text, or somewhere in it? @throws RegexRefused */
export function regexMatches(regex: string, text: string, where: 'whole' | 'somewhere'): boolean {
  const shown = JSON.stringify(regex.slice(0, 80))
  let compiled: RegExp
  try {
    const found = compileRuleRegex(regex)
    compiled = where === 'whole' ? new RegExp(`^(?:${found.source})$`, found.flags) : found
  } catch (error) {
    throw new RegexRefused(`Cannot use the regular expression ${shown}: it is none`, { cause: error })
  }
  try {
    return test.runInNewContext({ compiled, text }, { timeout: regexLimitMs }) === true
  } catch (error) {
    throw new RegexRefused(
      `Cannot use the regular expression ${shown}: it took more than ${regexLimitMs} ms on a text of ${text.length} characters`,
      { cause: error },
    )
  }
}

const test = new Script('compiled.test(text)')
