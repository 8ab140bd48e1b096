/** `ferrite completion bash`: a script with all commands and options in it, so that completing runs no program. */
import type { Commands } from './command.ts'
import { serviceCommands } from './help.ts'
import { globalOptions, groups } from './main.ts'
import { outputOptions } from './output.ts'
import { UsageError } from './parse.ts'

export async function completion(shell: string | undefined): Promise<string> {
  if (shell !== 'bash') throw new UsageError(`No completion for "${shell ?? ''}": expected bash`)
  const next = new Map<string, Set<string>>()
  const offer = (after: string, word: string) => next.set(after, (next.get(after) ?? new Set()).add(word))
  for (const name of [...Object.keys(serviceCommands), 'help', 'completion']) offer('', name)
  offer('completion', 'bash')
  for (const [group, { load }] of Object.entries(groups)) {
    const { commands }: { commands: Commands } = await load()
    for (const [verb, command] of Object.entries(commands)) {
      const words = [...group.split(' '), ...verb.split(' ')]
      for (const [at, word] of words.entries()) offer(words.slice(0, at).join(' '), word)
      const options = { ...command.options, ...(command.shows && outputOptions[command.shows]), ...globalOptions }
      for (const option of Object.keys(options)) offer(words.join(' '), `--${option}`)
    }
  }
  const cases = [...next].map(([after, words]) => `    '${after}') words='${[...words].join(' ')}' ;;`)
  return script.replace('CASES', cases.join('\n'))
}

/** The longest run of words from the front that is known decides what may follow. */
const script = `# bash completion of ferrite; use: source <(ferrite completion bash)
_ferrite_words() {
  case "$1" in
CASES
    *) return 1 ;;
  esac
}
_ferrite() {
  local words='' path='' at word
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    [[ $word == -* ]] && continue
    _ferrite_words "\${path:+$path }$word" || break
    path="\${path:+$path }$word"
  done
  _ferrite_words "$path"
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _ferrite ferrite
`
