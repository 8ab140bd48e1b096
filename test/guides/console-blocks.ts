/** Commands in the guides: blocks of the language `console`, each line after `$` typed, what follows is what it prints. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const guides = join(import.meta.dirname, '../../docs/guide')

export interface TypedCommand {
  readonly line: number
  readonly command: string
  readonly expected: readonly string[]
}

export function commandsOf(guide: string): TypedCommand[] {
  const commands: { line: number; command: string; expected: string[] }[] = []
  let inside = false
  for (const [at, text] of readFileSync(join(guides, guide), 'utf8').split('\n').entries()) {
    if (text.startsWith('```')) inside = text === '```console'
    else if (inside && text.startsWith('$ ')) commands.push({ line: at + 1, command: text.slice(2), expected: [] })
    else if (inside) commands.at(-1)?.expected.push(text)
  }
  return commands
}

/** Whether a program printed what a guide says: `…` stands for any lines. */
export function fits(printed: string, expected: readonly string[]): boolean {
  const parts = expected.map(line => (line === '…' ? '(?:.*\n)*?' : `${escaped(line)}\n`))
  return new RegExp(`^${parts.join('')}$`).test(printed === '' || printed.endsWith('\n') ? printed : `${printed}\n`)
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
