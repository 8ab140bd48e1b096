/**
 * The web console's files as a browser asks for them. What is served is what the build lists, nothing else that lies in
 * its folder; names carry a hash of what they hold, so browsers keep them for good. The page itself is written anew for
 * each request: its policy lets run only what comes from here.
 */
import { randomBytes } from 'node:crypto'
import { type FileHandle, open as openFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Log } from '#lib/log.ts'
import { buildConsole, buildsIn, type ConsoleBuild, hasSources, readBuild } from './bundle.ts'

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.woff2': 'font/woff2',
  '.svg': 'image/svg+xml',
}

export interface ServedFile {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readable | string
}

export interface ConsoleFiles {
  /** The page, for every route of the console; undefined where there is no console. */
  page(): Promise<ServedFile | undefined>
  /** A file by its name. @param encodings Accept-Encoding */
  file(name: string, encodings: string): Promise<ServedFile | undefined>
}

/**
 * Finds the build, or makes it, when the page is asked for: nobody who starts the service waits for it, and who works on
 * the console loads the page again. Files of the builds before stay, for pages that are open.
 */
export function consoleFiles({ directory, log }: { directory: string; log: Log }): ConsoleFiles {
  const builds = new Map<string, ConsoleBuild>()
  let opening: Promise<ConsoleBuild | undefined> | undefined
  const open = async () => {
    const began = performance.now()
    const folder = (await hasSources()) ? await buildConsole({ directory }) : (await buildsIn(directory))[0]
    if (folder === undefined) {
      log.warn({ console_dir: directory }, 'there is no web console in [ferrite] console_dir')
      return undefined
    }
    const known = builds.get(folder)
    if (known) return known
    const build = await readBuild(folder)
    builds.set(folder, build)
    log.info({ folder, ms: Math.round(performance.now() - began) }, 'the web console is ready')
    return build
  }
  const newest = () => {
    opening ??= open().finally(() => {
      opening = undefined
    })
    return opening
  }
  return {
    async page() {
      const build = await newest()
      return build && pageOf(build)
    },
    async file(name, encodings) {
      if (builds.size === 0) await newest()
      const found = await foundIn(builds, name, encodings)
      if (found) return found
      // A page may be older than this process, or come from another one.
      for (const folder of await buildsIn(directory)) {
        const build = builds.has(folder) ? undefined : await readBuild(folder).catch(() => undefined)
        if (build?.files.includes(name)) builds.set(folder, build)
      }
      return foundIn(builds, name, encodings)
    },
  }
}

/** The newest that has it; a build whose folder is gone is forgotten. */
async function foundIn(
  builds: Map<string, ConsoleBuild>,
  name: string,
  encodings: string,
): Promise<ServedFile | undefined> {
  for (const [folder, build] of [...builds].reverse()) {
    if (!build.files.includes(name)) continue
    const found = await fileOf(folder, name, encodings)
    if (found) return found
    builds.delete(folder)
  }
  return undefined
}

/** Undefined where its folder is no longer there: another process has built since. */
async function fileOf(folder: string, name: string, encodings: string): Promise<ServedFile | undefined> {
  const path = join(folder, name)
  const accepted = encodings.split(',').map(one => one.split(';')[0]?.trim())
  const forms = [
    { suffix: '.br', encoding: 'br' },
    { suffix: '.gz', encoding: 'gzip' },
  ]
  const headers = {
    'content-type': types[extname(name)] ?? 'application/octet-stream',
    'cache-control': 'public, max-age=31536000, immutable',
    'x-content-type-options': 'nosniff',
    vary: 'accept-encoding',
  }
  for (const { suffix, encoding } of forms) {
    if (!accepted.includes(encoding)) continue
    const found = await opened(path + suffix)
    if (found) return served(found, { ...headers, 'content-encoding': encoding })
  }
  const whole = await opened(path)
  return whole && served(whole, headers)
}

/** Open before anything is promised: a folder may go at any time. */
async function opened(path: string): Promise<FileHandle | undefined> {
  return openFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  })
}

async function served(file: FileHandle, headers: ServedFile['headers']): Promise<ServedFile> {
  const { size } = await file.stat()
  return { headers: { ...headers, 'content-length': String(size) }, body: file.createReadStream() }
}

function pageOf({ scripts, styles, firstLoad }: ConsoleBuild): ServedFile {
  const nonce = randomBytes(18).toString('base64')
  const below = (name: string) => `/ui/assets/${name}`
  const body = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="ferrite-style-nonce" nonce="${nonce}">
<title>Ferrite</title>
<link rel="icon" href="data:,">
${styles.map(name => `<link rel="stylesheet" href="${below(name)}">`).join('\n')}
${firstLoad.map(name => `<link rel="modulepreload" href="${below(name)}">`).join('\n')}
</head>
<body>
<div id="root"></div>
<noscript>The console of Ferrite needs JavaScript. Everything it shows is in the API, too: see "ferrite help".</noscript>
${scripts.map(name => `<script type="module" src="${below(name)}"></script>`).join('\n')}
</body>
</html>
`
  return {
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': policyOf(nonce),
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
    },
    body,
  }
}

/**
 * Nothing from elsewhere, nothing inline; only the terminal of serial consoles makes style sheets while it runs, which
 * carry the page's nonce.
 */
function policyOf(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "font-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}
