/** The completion scripts in the shells themselves; those that are not installed are skipped. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { completion } from './completion.ts'

/** How each shell is asked what it offers at the end of a line, one word in a line. */
const shells = {
  bash: (line: string) => {
    const words = line.split(' ')
    const list = words.map(word => `'${word}'`).join(' ')
    return ['-c', `COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _ferrite; printf '%s\n' "\${COMPREPLY[@]}"`]
  },
  // The functions of zsh's completion need a terminal; these stand in for those that it calls.
  zsh: (line: string) => {
    const words = line.split(' ').map(word => `'${word}'`)
    return ['-fc', `words=(${words.join(' ')}); CURRENT=${words.length}; _ferrite`]
  },
  fish: (line: string) => ['-c', `complete -C '${line}'`],
}
const zshStandIns = `compdef() { }
_files() { }
_describe() { local one; for one in "\${(@P)2}"; do [[ $one == "\${words[CURRENT]}"* ]] && print -r -- "\${one%%:*}"; done; true }
`

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  const missing = spawnSync(shell, ['-c', 'true']).error !== undefined
  test(`${shell} completes from the script alone`, { skip: missing && `${shell} is not installed` }, async () => {
    const script = (shell === 'zsh' ? zshStandIns : '') + (await completion(shell))
    const complete = (line: string) => {
      const [flag = '', ask = ''] = shells[shell](line)
      const env = { PATH: process.env.PATH, HOME: '/nonexistent' }
      const out = execFileSync(shell, [flag, `${script}\n${ask}`], { encoding: 'utf8', env })
      return out.split('\n').flatMap(offered => offered.split('\t')[0] || [])
    }
    const same = (line: string, words: string[]) => assert.deepEqual(complete(line).toSorted(), words.toSorted(), line)
    same('ferrite cond', ['conductor'])
    same('ferrite node po', ['power'])
    same('ferrite node power ', ['on', 'off'])
    same('ferrite deploy template cr', ['create'])
    same('ferrite node deploy n1 --conf', ['--config-drive'])
    same('ferrite node list --prov', ['--provision-state'])
    same('ferrite node list -f ', ['csv', 'json', 'table', 'value', 'yaml'])
    same('ferrite node show n1 --format ', ['json', 'shell', 'table', 'value', 'yaml'])
    same('ferrite --os-cloud node volume ', ['connector', 'target'])
    same('ferrite help inspection ', ['rule'])
    same('ferrite node add trait n1 --os-cl', ['--os-cloud'])
    same('ferrite completion ', ['bash', 'fish', 'zsh'])
    assert.ok(complete('ferrite ').includes('serve'))
    assert.ok(complete('ferrite node set n1 --').includes('--reset-boot-interface'))
  })
}

test('no other shell is known', async () => {
  await assert.rejects(completion('tcsh'), /No completion for "tcsh": expected bash, zsh, fish/)
})
