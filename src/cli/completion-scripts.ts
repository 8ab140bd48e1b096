/**
 * The completion scripts: the same offers in the languages of bash, zsh and fish. Each finds the command by the longest
 * run of words that is known, skipping options and what those take, and offers what may follow; options only once a
 * dash is typed. Nothing here knows a command.
 */

export interface Word {
  readonly word: string
  readonly about: string
  /** What an option may be given; none where that is open. */
  readonly choices?: readonly string[]
  /** Whether the word after an option is its value. */
  readonly takesWord?: boolean
}

export interface Offers {
  /** The words that may follow words. */
  readonly next: readonly (readonly [after: string, words: readonly Word[]])[]
  readonly commands: readonly {
    readonly name: string
    readonly options: readonly Word[]
    readonly shows?: string | undefined
  }[]
  /** Options of commands that show something, by the kind of what they show. */
  readonly outputs: Readonly<Record<string, readonly Word[]>>
  /** Options of all commands. */
  readonly globals: readonly Word[]
}

export const scripts = {
  bash: (offers: Offers) => `# bash completion of ferrite; use: source <(ferrite completion bash)
${posix(offers)}
_ferrite() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path='' line
  path=$(_ferrite_path "\${COMP_WORDS[@]:1:COMP_CWORD-1}")
  COMPREPLY=()
  while IFS= read -r line; do
    [[ $line == "$cur"* ]] && COMPREPLY+=("\${line%%:*}")
  done < <(_ferrite_offer "$path" "\${COMP_WORDS[COMP_CWORD-1]}" "$cur")
}
complete -o default -F _ferrite ferrite
`,
  zsh: (offers: Offers) => `#compdef ferrite
# zsh completion of ferrite; use: source <(ferrite completion zsh), after compinit
${posix(offers)}
_ferrite() {
  local path_of=$(_ferrite_path "\${(@)words[2,CURRENT-1]}")
  local -a offered=("\${(@f)$(_ferrite_offer "$path_of" "\${words[CURRENT-1]}" "\${words[CURRENT]}")}")
  if [[ -n "$offered" ]]; then _describe ferrite offered; else _files; fi
}
compdef _ferrite ferrite
`,
  fish: (offers: Offers) => `# fish completion of ferrite; use: ferrite completion fish | source
${fish(offers)}
complete -c ferrite -f -n 'string length -q -- (__ferrite_complete)' -a '(__ferrite_complete)'
`,
}

/** Functions that bash and zsh both read. An offer is a line of word and description, with a colon between. */
function posix({ next, commands, outputs, globals }: Offers): string {
  const print = (words: readonly Word[]) => {
    const lines = words.map(({ word, about }) => quoted(`${word}:${about}`))
    return lines.length === 0 ? ':' : `printf '%s\\n' ${lines.join(' ')}`
  }
  const cases = (rows: readonly (readonly [string, string])[]) =>
    rows.map(([words, then]) => `    ${words}) ${then} ;;`).join('\n')
  return `_ferrite_next() {
  case "$1" in
${cases(next.map(([after, words]) => [quoted(after), print(words)]))}
    *) return 1 ;;
  esac
}
_ferrite_options() {
  case "$1" in
${cases(commands.map(({ name, options, shows }) => [quoted(name), `${print(options)}${shows ? `; _ferrite_output_${shows}` : ''}; _ferrite_globals`]))}
    *) _ferrite_globals; return 1 ;;
  esac
}
${Object.entries(outputs)
  .map(([kind, words]) => `_ferrite_output_${kind}() { ${print(words)}; }`)
  .join('\n')}
_ferrite_globals() { ${print(globals)}; }
_ferrite_values() {
  case "$1 $2" in
${cases(valuesOf({ next, commands, outputs, globals }).map(([words, choices]) => [words, `printf '%s\\n' ${choices.join(' ')}`]))}
    *) return 1 ;;
  esac
}
_ferrite_known() { _ferrite_next "$1" >/dev/null || _ferrite_options "$1" >/dev/null; }
_ferrite_path() {
  local so_far='' skip='' word
  for word in "$@"; do
    if [ -n "$skip" ]; then skip=''; continue; fi
    case "$word" in
      ${globals.flatMap(({ word, takesWord }) => (takesWord ? [word] : [])).join('|')}) [ -n "$so_far" ] || skip=1; continue ;;
      -*) continue ;;
    esac
    if [ -z "$so_far" ] && [ "$word" = help ]; then continue; fi
    _ferrite_known "\${so_far:+$so_far }$word" || break
    so_far="\${so_far:+$so_far }$word"
  done
  printf '%s' "$so_far"
}
_ferrite_offer() {
  _ferrite_values "$1" "$2" && return
  case "$3" in
    -*) _ferrite_options "$1" ;;
    *) _ferrite_next "$1" ;;
  esac
}`
}

function fish({ next, commands, outputs, globals }: Offers): string {
  const print = (words: readonly Word[]) =>
    words.length === 0
      ? 'true'
      : `printf '%s\\t%s\\n' ${words.map(({ word, about }) => `${fishQuoted(word)} ${fishQuoted(about)}`).join(' ')}`
  const cases = (rows: readonly (readonly [string, string])[]) =>
    rows.map(([words, then]) => `        case ${words}\n            ${then}`).join('\n')
  return `function __ferrite_next
    switch "$argv[1]"
${cases(next.map(([after, words]) => [fishQuoted(after), print(words)]))}
        case '*'
            return 1
    end
end
function __ferrite_options
    switch "$argv[1]"
${cases(commands.map(({ name, options, shows }) => [fishQuoted(name), `${print(options)}${shows ? `; __ferrite_output_${shows}` : ''}; __ferrite_globals`]))}
        case '*'
            __ferrite_globals
            return 1
    end
end
${Object.entries(outputs)
  .map(([kind, words]) => `function __ferrite_output_${kind}\n    ${print(words)}\nend`)
  .join('\n')}
function __ferrite_globals
    ${print(globals)}
end
function __ferrite_values
    switch "$argv[1] $argv[2]"
${cases(valuesOf({ next, commands, outputs, globals }).map(([words, choices]) => [words.split('|').join(' '), `printf '%s\\n' ${choices.join(' ')}`]))}
        case '*'
            return 1
    end
end
function __ferrite_known
    __ferrite_next "$argv[1]" >/dev/null; or __ferrite_options "$argv[1]" >/dev/null
end
function __ferrite_complete
    set -l tokens (commandline -opc)
    set -l current (commandline -ct)
    set -l path ''
    set -l skip ''
    for word in $tokens[2..]
        if test -n "$skip"
            set skip ''
            continue
        end
        switch $word
            case ${globals.flatMap(({ word, takesWord }) => (takesWord ? [word] : [])).join(' ')}
                test -n "$path"; or set skip 1
                continue
            case '-*'
                continue
        end
        if test -z "$path" -a "$word" = help
            continue
        end
        set -l longer (string trim "$path $word")
        __ferrite_known "$longer"; or break
        set path $longer
    end
    __ferrite_values "$path" "$tokens[-1]"; and return
    switch "$current"
        case '-*'
            __ferrite_options "$path"
        case '*'
            __ferrite_next "$path"
    end
end`
}

/** Patterns of command and option, and what the option may be given. */
function valuesOf({ commands, outputs, globals }: Offers): [pattern: string, choices: readonly string[]][] {
  const found: [string, readonly string[]][] = []
  const take = (name: string, words: readonly Word[]) => {
    for (const { word, choices = [] } of words) if (choices.length > 0) found.push([quoted(`${name} ${word}`), choices])
  }
  for (const { name, options, shows } of commands) {
    take(name, options)
    if (shows) take(name, outputs[shows] ?? [])
  }
  for (const { word, choices = [] } of globals) if (choices.length > 0) found.push([`*${quoted(` ${word}`)}`, choices])
  // One line for all that may be given the same.
  const joined = Map.groupBy(found, ([, choices]) => choices.join(' '))
  return [...joined.values()].map(rows => [rows.map(([pattern]) => pattern).join('|'), rows[0]?.[1] ?? []])
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
