/**
 * Chooses kernel modules: from names and path patterns to the set of module files that must be there together. It reads
 * depmod's text files and nothing else; the indexes of the chosen set are made by depmod afterwards.
 */

export type ModuleIndex = {
  /** Path below /lib/modules/VERSION (`kernel/fs/ext4/ext4.ko`) to the paths it needs. */
  dependencies: Map<string, string[]>
  /** Module name to path. */
  byName: Map<string, string>
  /** Names that are part of the kernel itself. */
  builtin: Set<string>
  /** Module name to the names it would like to have loaded before or after it. */
  soft: Map<string, string[]>
  /** A function that somebody may ask for (`crc32c`) to the modules that have it. */
  aliases: Map<string, string[]>
}

export type ModuleChoice = {
  /** These must exist, as modules or built in. */
  names: readonly string[]
  /** Every module whose path matches one of these. */
  match: readonly RegExp[]
  /** Leaves a module out that `match` found, unless something chosen needs it. */
  exclude: readonly RegExp[]
}

/** Reads `modules.dep`, `modules.builtin`, `modules.softdep` and `modules.alias`, given as text. */
export function readModuleIndex(texts: { dep: string; builtin: string; softdep: string; alias: string }): ModuleIndex {
  const index: ModuleIndex = {
    dependencies: new Map(),
    byName: new Map(),
    builtin: new Set(),
    soft: new Map(),
    aliases: new Map(),
  }
  for (const line of texts.dep.split('\n')) {
    const colon = line.indexOf(':')
    if (colon < 0) continue
    const path = line.slice(0, colon)
    index.dependencies.set(
      path,
      line
        .slice(colon + 1)
        .split(' ')
        .filter(Boolean),
    )
    index.byName.set(moduleName(path), path)
  }
  for (const line of texts.builtin.split('\n')) if (line !== '') index.builtin.add(moduleName(line))
  for (const line of texts.softdep.split('\n')) {
    const [word, name, ...rest] = line.split(/\s+/)
    if (word !== 'softdep' || name === undefined) continue
    const wanted = rest.filter(part => part !== 'pre:' && part !== 'post:')
    index.soft.set(normal(name), [...(index.soft.get(normal(name)) ?? []), ...wanted])
  }
  for (const line of texts.alias.split('\n')) {
    const [word, alias, name] = line.split(/\s+/)
    // Patterns are for devices; nobody asks for those by name.
    if (word !== 'alias' || alias === undefined || name === undefined || alias.includes('*')) continue
    index.aliases.set(normal(alias), [...(index.aliases.get(normal(alias)) ?? []), normal(name)])
  }
  return index
}

/**
 * The chosen module files with all they depend on, sorted, and the names that exist neither as a module nor built in.
 * Soft dependencies are followed where they exist: without them a driver loads but may lack a checksum or a PHY.
 */
export function chooseModules(index: ModuleIndex, choice: ModuleChoice): { paths: string[]; unknown: string[] } {
  const chosen = new Set<string>()
  const unknown: string[] = []
  const take = (path: string): void => {
    if (chosen.has(path)) return
    chosen.add(path)
    for (const needed of index.dependencies.get(path) ?? []) take(needed)
    for (const name of index.soft.get(moduleName(path)) ?? []) {
      for (const candidate of [normal(name), ...(index.aliases.get(normal(name)) ?? [])]) {
        const wanted = index.byName.get(candidate)
        if (wanted !== undefined) take(wanted)
      }
    }
  }
  for (const name of choice.names) {
    const path = index.byName.get(normal(name))
    if (path !== undefined) take(path)
    else if (!index.builtin.has(normal(name))) unknown.push(name)
  }
  for (const path of index.dependencies.keys()) {
    if (choice.match.some(pattern => pattern.test(path)) && !choice.exclude.some(pattern => pattern.test(path))) {
      take(path)
    }
  }
  return { paths: [...chosen].sort(), unknown }
}

/** `kernel/drivers/net/virtio_net.ko.xz` → `virtio_net`; the kernel treats `-` and `_` as one. */
export function moduleName(path: string): string {
  return normal(path.replace(/^.*\//, '').replace(/\.ko(\.\w+)?$/, ''))
}

function normal(name: string): string {
  return name.replaceAll('-', '_')
}
