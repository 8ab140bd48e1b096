/**
 * Regular expressions of inspection rules. They are written as Python takes them, because Ironic's rules are; what the
 * two languages spell differently is put into our spelling. Nothing is matched here: whoever matches bounds the time,
 * since an expression that compiles may still take for ever.
 */

/** Characters that an expression may have. */
export const longestRuleRegex = 2000

/** `{node.name}` stands for a value, `{{` for a brace: rules are filled in before they are used. */
const placeholder = /\{\{|\}\}|\{[A-Za-z_][^{}]*\}/g
const flagsInFront = /^\(\?([aiLmsux]+)\)/

/**
 * @throws SyntaxError when it is none
 * Source: Python, "re"; Ironic ironic/common/inspection_rules/operators.py
 */
export function compileRuleRegex(text: string): RegExp {
  if (text.length > longestRuleRegex) {
    throw new SyntaxError(`found ${text.length} characters, expected ${longestRuleRegex} at most`)
  }
  const [front = '', letters = ''] = flagsInFront.exec(text) ?? []
  const flags = ['i', 'm', 's'].filter(flag => letters.includes(flag)).join('')
  const ours = text
    .slice(front.length)
    .replaceAll('(?P<', '(?<')
    .replaceAll(/\(\?P=(\w+)\)/g, '\\k<$1>')
    .replaceAll(/(?<!\\)((?:\\\\)*)\\([AZ])/g, (_, before: string, letter) => before + (letter === 'A' ? '^' : '$'))
  return new RegExp(ours, flags)
}

/** As compileRuleRegex, of a text whose placeholders are not filled in yet. @throws SyntaxError */
export function checkRuleRegex(text: string): void {
  compileRuleRegex(text.replaceAll(placeholder, found => (found === '{{' ? '{' : found === '}}' ? '}' : 'x')))
}
