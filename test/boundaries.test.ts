/** The folders' borders, held by reading every import: a line that crosses one is named. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { test } from 'node:test'

const src = join(import.meta.dirname, '..', 'src')

/** What each folder of src may import besides itself and npm packages; see ARCHITECTURE.md. */
const allowed: Record<string, readonly string[]> = {
  lib: [],
  protocol: [],
  config: ['lib', 'protocol'],
  db: ['lib', 'protocol'],
  images: ['lib', 'protocol', 'config', 'db', 'drivers'],
  boot: ['lib', 'protocol', 'config', 'db', 'images', 'drivers'],
  drivers: ['lib', 'protocol', 'config', 'db', 'images', 'boot'],
  timeline: ['lib', 'protocol', 'db'],
  conductor: ['lib', 'protocol', 'config', 'db', 'images', 'boot', 'drivers', 'timeline'],
  server: ['lib', 'protocol', 'config', 'db', 'conductor', 'timeline'],
  metrics: ['lib', 'protocol', 'config', 'db', 'images', 'drivers', 'conductor', 'timeline'],
  agent: ['lib', 'protocol'],
  backup: ['lib', 'protocol', 'config', 'db'],
  cli: ['lib', 'protocol'],
  console: ['protocol'],
  ramdisk: ['lib', 'protocol', 'agent'],
  lab: ['lib', 'protocol', 'ramdisk', 'cli'],
  sim: ['lib', 'protocol', 'lab', 'cli'],
}

/** Imports that cross a border by its one agreed door. */
const doors: readonly (readonly [from: string, to: string])[] = [
  // The API asks for what touches a machine through this interface, never through a driver.
  ['server', 'conductor/conductor.ts'],
  // The builder of the ramdisk installs host packages from the same list as the lab.
  ['ramdisk', 'lab/host-packages.ts'],
  // Metrics hear how requests went, and know nothing else of the API.
  ['metrics', 'server/measured.ts'],
  // One demo, over virtual or over simulated machines.
  ['lab', 'sim/demo.ts'],
]

const files = globSync('**/*.{ts,tsx}', { cwd: src })
const specifier = /(?:from|import)\s*\(?\s*'([^']+)'/g

test('no import crosses a border', () => {
  const crossings: string[] = []
  for (const file of files) {
    const [folder] = file.split(sep)
    if (!folder || folder.endsWith('.ts') || file.endsWith('.test.ts')) continue
    for (const [, name = ''] of readFileSync(join(src, file), 'utf8').matchAll(specifier)) {
      const to = name.startsWith('#')
        ? name.slice(1)
        : name.startsWith('.')
          ? relative(src, join(src, dirname(file), name))
          : undefined
      // Our version.
      if (to === '../package.json') continue
      if (to === undefined) {
        // The agent is bundled to one small file: Node's own modules, the libraries that check schemas and read YAML.
        if (folder === 'agent' && !/^(node:|typebox|yaml$)/.test(name))
          crossings.push(`${file} imports the package ${name}`)
        continue
      }
      const [target = ''] = to.split('/')
      if (target === folder || allowed[folder]?.includes(target)) {
        if (folder === 'server' && target === 'conductor' && to !== 'conductor/conductor.ts')
          crossings.push(`${file} -> ${to}`)
        continue
      }
      if (!doors.some(([from, door]) => from === folder && door === to)) crossings.push(`${file} -> ${to}`)
    }
  }
  assert.deepEqual(crossings, [])
})

test('every folder has its border', () => {
  const folders = new Set(
    files
      .map(file => file.split(sep))
      .filter(parts => parts.length > 1)
      .map(([folder]) => folder),
  )
  assert.deepEqual(
    [...folders].filter(folder => !Object.hasOwn(allowed, folder ?? '')),
    [],
  )
})
