/**
 * `ferrite completion bash|zsh|fish`: a script with all commands and options in it, so that completing runs no program.
 * What is offered is read off the declarations, here; how each shell says it is in completion-scripts.ts.
 */
import { type AnyCommand, loaded, type Options } from './command.ts'
import { type Offers, scripts, type Word } from './completion-scripts.ts'
import { globalOptions } from './global-options.ts'
import { aliases, groups, nameOf } from './groups.ts'
import { serviceCommands } from './help.ts'
import { outputOptions } from './output.ts'
import { UsageError } from './parse.ts'

const shells = Object.keys(scripts)

export async function completion(shell: string | undefined): Promise<string> {
  if (shell === undefined || !Object.hasOwn(scripts, shell)) {
    throw new UsageError(`No completion for "${shell ?? ''}": expected ${shells.join(', ')}`)
  }
  return scripts[shell as keyof typeof scripts](await offers()) // own key, checked
}

/** All that may follow the words of a command line, by those words. */
async function offers(): Promise<Offers> {
  const next = new Map<string, Map<string, string>>()
  const offer = (after: string, word: string, about: string) => {
    const words = next.get(after) ?? new Map<string, string>()
    if (!words.has(word)) next.set(after, words.set(word, about))
  }
  for (const [name, about] of Object.entries(serviceCommands)) {
    offer('', name, about)
    next.set(name, new Map()) // what follows is theirs
  }
  offer('', 'help', 'what there is')
  offer('', 'completion', 'completion for the shell')
  for (const shell of shells) offer('completion', shell, `for ${shell}`)

  const commands: Record<string, AnyCommand> = {}
  for (const [group, { load }] of Object.entries(groups)) {
    for (const [verb, command] of Object.entries(await load())) commands[nameOf(group, verb)] = await loaded(command)
  }
  for (const [spelling, name] of Object.entries(aliases)) {
    const command = commands[name]
    if (command) commands[spelling] = command
  }
  for (const [name, { about }] of Object.entries(commands)) {
    const words = name.split(' ')
    for (const [at, word] of words.entries()) {
      const path = words.slice(0, at + 1).join(' ')
      offer(words.slice(0, at).join(' '), word, path === name ? about : (groups[path]?.about ?? `${word} ...`))
    }
  }
  const outputs = Object.entries(outputOptions).map(([kind, options]) => [kind, optionWords(options)] as const)
  return {
    next: [...next].map(([after, words]) => [after, [...words].map(([word, about]) => ({ word, about }))]),
    commands: Object.entries(commands).map(([name, { options, shows }]) => ({
      name,
      options: optionWords(options),
      shows,
    })),
    outputs: Object.fromEntries(outputs),
    globals: optionWords(globalOptions),
  }
}

function optionWords(options: Options): Word[] {
  return Object.entries(options).flatMap(([name, { about, short, takes, choices = [] }]) => {
    const word = { about, choices, takesWord: takes !== 'nothing' && !takes.endsWith('?') }
    return [{ ...word, word: `--${name}` }, ...(short === undefined ? [] : [{ ...word, word: `-${short}` }])]
  })
}
