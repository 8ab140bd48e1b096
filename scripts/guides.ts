/**
 * Writes the pages of docs/guide/ that are made of the code: every code of a fault with what it means and what to do, and
 * every call of the API. A test holds pages and code equal. Run: node scripts/guides.ts
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { actionsOf } from '../src/conductor/why/actions.ts'
import { endpoints } from '../src/server/endpoints.ts'

const root = join(import.meta.dirname, '..')

export interface KnownFault {
  readonly code: string
  readonly status: string
  /** What the class says of itself. */
  readonly meaning: string
}

/** Every fault that a service or its client may tell, read off the classes. */
export function knownFaults(): KnownFault[] {
  const found = new Map<string, KnownFault>()
  for (const file of globSync('src/**/*.ts', { cwd: root }).sort()) {
    if (file.endsWith('.test.ts') || /^src\/(lab|sim|agent|ramdisk)\//.test(file)) continue
    const text = readFileSync(join(root, file), 'utf8')
    for (const { groups } of text.matchAll(faultClass)) {
      const { comment = '', body = '' } = groups ?? {}
      const [, code] = /readonly code(?:: string)? = '([a-z0-9-]+)'/.exec(body) ?? []
      if (code === undefined || found.has(code)) continue
      const [, status = ''] = /readonly status(?:: number)? = (\d{3})/.exec(body) ?? []
      found.set(code, { code, status, meaning: sentence(comment) })
    }
  }
  return [...found.values()].sort((a, b) => (a.code < b.code ? -1 : 1))
}

/** A class with its comment, up to the brace that closes it. */
const faultClass =
  /(?:\/\*\*(?<comment>(?:(?!\*\/)[\s\S])*)\*\/\n)?(?:export )?class \w+ extends \w+ \{\n(?<body>[\s\S]*?)\n\}/g

function sentence(comment: string): string {
  const text =
    comment
      .replaceAll(/^\s*\*? ?/gm, '')
      .replaceAll('\n', ' ')
      .split('@')[0] ?? ''
  return text.trim().replaceAll('|', '\\|')
}

export function troubleshootingPage(): string {
  const faults = knownFaults()
  const known = new Set(faults.map(({ code }) => code))
  const rows = faults.map(({ code, status, meaning }) => {
    return `| \`${code}\` | ${status} | ${meaning} | ${actionsOf[code]?.join('; ') ?? ''} |`
  })
  // Told by why, of agents and of boots, without a class here.
  const others = Object.keys(actionsOf)
    .filter(code => !known.has(code))
    .sort()
    .map(code => `| \`${code}\` | ${(actionsOf[code] ?? []).join('; ')} |`)
  return `# Troubleshooting by code

Made of the code by \`node scripts/guides.ts\`; a test holds the two equal. \`ferrite node why NODE\` says which of these it is
for a node, with what was seen ([why](../why.md)). A message says what was attempted, what was found, what was expected; the
code is what programs go by.

| Code | HTTP | What it means | What to do |
|---|---|---|---|
${rows.join('\n')}

## Causes that \`why\` names

| Code | What to do |
|---|---|
${others.join('\n')}
`
}

export function apiPage(): string {
  const groups = Map.groupBy(endpoints, ({ path }) => path.split('/')[2] ?? '')
  const parts = [...groups].map(([group, list]) => {
    const rows = list.map(({ method, path, from, status, policy, query = {}, args = {} }) => {
      const names = [...Object.keys(query), ...Object.keys(args)].map(name => `\`${name}\``).join(' ')
      const who = policy === 'public' ? 'anybody' : policy.map(name => `\`${name}\``).join(' or ')
      return `| \`${method} ${path}\` | ${from} | ${status} | ${names} | ${who} |`
    })
    const heading = '| Call | From | Answer | Parameters | Policy |\n|---|---|---|---|---|'
    return `## ${group === '' ? 'Root' : group}\n\n${heading}\n${rows.join('\n')}`
  })
  return `# The API

Ironic's bare metal API, microversions 1.1 to 1.115, and calls that are only here. Made of the declarations by
\`node scripts/guides.ts\`; a test holds the two equal. Bodies and answers are in the OpenAPI 3.1 document that the service
gives at \`/openapi.json\`, for the version that the request names.

${parts.join('\n\n')}
`
}

/** Paths of the pages below docs/guide, and what they hold. */
export const pages: Readonly<Record<string, () => string>> = {
  'troubleshooting.md': troubleshootingPage,
  'api.md': apiPage,
}

if (import.meta.main) {
  for (const [name, page] of Object.entries(pages)) writeFileSync(join(root, 'docs/guide', name), page())
}
