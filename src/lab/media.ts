/**
 * Fetches an image for a BMC's virtual media into a file, from a web server, an NFS export or a CIFS share, by programs that
 * anybody has for these. Half an image is never left at its place.
 */
import { createWriteStream } from 'node:fs'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { get as httpGet } from 'node:http'
import { get as httpsGet } from 'node:https'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Fault, messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { MediaLogin } from './redfish/hardware.ts'

/** The BMC could not get the image it was told to insert. */
export class MediaUnreachable extends Fault {
  readonly status = 400
  readonly code = 'media-unreachable'
}

const IDLE_LIMIT_MS = 30_000
/** Programs that fetch from shares take so long for the largest image that a lab has. */
const SHARE_LIMIT_MS = 300_000

type Fetch = (image: URL, file: string, login: MediaLogin | undefined) => Promise<void>

const fetches: Readonly<Record<string, Fetch>> = {
  'http:': fetchHttp,
  'https:': fetchHttp,
  'nfs:': fetchNfs,
  'cifs:': fetchCifs,
  'smb:': fetchCifs,
}

/**
 * Downloads `image` (certificates are not checked, as BMCs do unless told) to `file`.
 * @throws MediaUnreachable with the URL and what was found there
 */
export async function fetchMedia(image: string, file: string, login?: MediaLogin): Promise<void> {
  const attempt = `Cannot insert the image ${image}`
  // As firmware has it that knows no URLs for shares: host:/export/file, //host/share/file.
  const url = URL.parse(image.replace(/^([\w.-]+):\/(?!\/)/, 'nfs://$1/').replace(/^\/\//, 'cifs://'))
  const fetchFrom = url === null ? undefined : fetches[url.protocol]
  if (url === null || fetchFrom === undefined) {
    throw new MediaUnreachable(`${attempt}: expected a URL of http, https, nfs, cifs or smb`)
  }
  const part = `${file}.part`
  try {
    await fetchFrom(url, part, login)
    await rename(part, file)
  } catch (error) {
    await rm(part, { force: true })
    throw new MediaUnreachable(`${attempt}: ${messageOf(error)}`, { cause: error })
  }
}

async function fetchHttp(url: URL, file: string, login: MediaLogin | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const get = url.protocol === 'https:' ? httpsGet : httpGet
    const auth = login === undefined ? {} : { auth: `${login.username}:${login.password}` }
    const request = get(url, { rejectUnauthorized: false, timeout: IDLE_LIMIT_MS, ...auth }, response => {
      if (response.statusCode !== 200) {
        response.destroy()
        reject(new Error(`HTTP status ${response.statusCode}, expected 200`))
        return
      }
      pipeline(response, createWriteStream(file)).then(resolve, reject)
    })
    request.on('timeout', () => request.destroy(new Error(`nothing came for ${IDLE_LIMIT_MS / 1000} s`)))
    request.on('error', reject)
  })
}

/** Debian's package libnfs-utils. A port in the URL means a server of version 4 there, which needs no port mapper. */
async function fetchNfs(url: URL, file: string): Promise<void> {
  const options = url.port === '' ? '' : `?version=4&nfsport=${url.port}`
  const signal = AbortSignal.timeout(SHARE_LIMIT_MS)
  await run('nfs-cp', [`nfs://${url.hostname}${url.pathname}${options}`, file], { signal })
}

/** Debian's package smbclient. */
async function fetchCifs(url: URL, file: string, login: MediaLogin | undefined): Promise<void> {
  const [share = '', ...path] = decodeURIComponent(url.pathname).slice(1).split('/')
  const name = path.join('\\')
  if (share === '' || name === '' || /["\n]/.test(name)) throw new Error('expected cifs://HOST/SHARE/FILE')
  // What is in arguments everybody on this host may read.
  const secrets = await mkdtemp(join(dirname(file), '.smb-'))
  try {
    const account = join(secrets, 'account')
    if (login) await writeFile(account, `username=${login.username}\npassword=${login.password}\n`, { mode: 0o600 })
    const port = url.port === '' ? [] : ['--port', url.port]
    const who = login ? ['--authentication-file', account] : ['--no-pass']
    const script = `get "${name}" "${file}"`
    const signal = AbortSignal.timeout(SHARE_LIMIT_MS)
    await run('smbclient', [`//${url.hostname}/${share}`, ...port, ...who, '--command', script], { signal })
  } finally {
    await rm(secrets, { recursive: true, force: true })
  }
}
