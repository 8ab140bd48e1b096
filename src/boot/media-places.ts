/**
 * Where images for virtual media are put so that a BMC finds them: below the directory of our HTTP server, on an NFS or
 * CIFS share that the operator runs, or where only this process reads them, which then sends them itself. It makes no
 * image and talks to no BMC.
 *
 * Source: ironic/common/image_publisher.py, ironic/conf/nfs.py, cifs.py (options and their meaning, restated).
 */
import { access, constants, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '#config/options.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { withoutSlashesAtEnd } from '#lib/slashes.ts'

/** How a BMC gets at an image: by fetching it from a server or share, or by having it sent (`PUSH`). */
export const mediaTransports = ['HTTP', 'HTTPS', 'NFS', 'CIFS', 'PUSH'] as const
export type MediaTransport = (typeof mediaTransports)[number]

/** A directory for the images of one node. */
export interface MediaPlace {
  directory: string
  /** What it is for the BMC, without a slash at its end; `PUSH`: a file URL of this host. */
  url: string
}

/** What an image is for: a boot of the node's, or somebody attached it by hand. */
export type MediaUse = 'vmedia' | 'attached'

type World = Pick<NodeContext, 'node' | 'config'>

/** Where the node's images go. @throws InvalidInput naming what the configuration lacks */
export function mediaPlace({ node, config }: World, transport: MediaTransport, use: MediaUse = 'vmedia'): MediaPlace {
  const part = `${node.uuid}/${use}`
  if (transport === 'PUSH') {
    const directory = pushDirectory(config, part)
    return { directory, url: `file://${directory}` }
  }
  if (transport === 'HTTP' || transport === 'HTTPS') {
    const own = node.driver_info.external_http_url
    const url =
      typeof own === 'string' && own !== '' ? own : (config.deploy.external_http_url ?? config.deploy.http_url)
    return { directory: join(config.deploy.http_root, part), url: `${withoutSlashesAtEnd(url)}/${part}` }
  }
  const { sharePath, url } = share(config, transport, `Cannot boot node ${node.uuid}`)
  return { directory: join(sharePath, part), url: `${url}/${part}` }
}

/** Every directory that may hold images of the node: it may have had another transport before. */
export function mediaDirectories(config: Config, uuid: string, use: MediaUse = 'vmedia'): string[] {
  const roots = [config.deploy.http_root, config.nfs.share_path, config.cifs.share_path]
  return [
    ...new Set(roots.filter(root => root !== null).map(root => join(root, uuid, use))),
    pushDirectory(config, `${uuid}/${use}`),
  ]
}

/** Checks that there is a place which can be written. @throws InvalidInput */
export async function checkMediaPlace({ node, config }: World, transport: MediaTransport): Promise<void> {
  if (transport !== 'NFS' && transport !== 'CIFS') return
  const cannot = `Cannot boot node ${node.uuid}`
  const { sharePath } = share(config, transport, cannot)
  const found = await stat(sharePath).then(
    entry => (entry.isDirectory() ? null : 'which is no directory'),
    error => `which cannot be read (${error.code ?? messageOf(error)})`,
  )
  const problem =
    found ??
    (await access(sharePath, constants.W_OK | constants.X_OK).then(
      () => null,
      () => 'which this process may not write',
    ))
  if (problem === null) return
  throw new InvalidInput(
    `${cannot}: vmedia_transport_protocol is ${transport} and [${sectionOf(transport)}] share_path is ${sharePath}, ` +
      `${problem}; expected the directory of the share, mounted on every conductor`,
  )
}

/** Does a BMC that is reached so fetch this URL itself? Such an image is passed on as it is, where that is wanted. */
export function isFetchedByBmc(url: string, transport: MediaTransport): boolean {
  const scheme = /^([a-z]+):\/\//i.exec(url)?.[1]?.toLowerCase()
  if (scheme === undefined) return false
  if (transport === 'NFS') return scheme === 'nfs'
  if (transport === 'CIFS') return scheme === 'cifs' || scheme === 'smb'
  return transport !== 'PUSH' && (scheme === 'http' || scheme === 'https')
}

/** Who logs in at the share that has this image; null where nobody does, or it is on another share than ours. */
export function shareLogin({ cifs }: Config, url: string): { username: string; password: string } | null {
  if (cifs.base_url === null || cifs.username === null) return null
  return url.startsWith(`${withoutSlashesAtEnd(cifs.base_url)}/`)
    ? { username: cifs.username, password: cifs.password ?? '' }
    : null
}

const sectionOf = (transport: 'NFS' | 'CIFS') => (transport === 'NFS' ? 'nfs' : 'cifs')

/** URLs, and what firmware takes that knows none for shares: `host:/export`, `//host/share`. */
const forms = {
  NFS: {
    pattern: /^(nfs:\/\/[^/\s@]+|(?:[\w.-]+|\[[0-9a-f:]+\]):)((?:\/[^/\s]\S*)?\/?)$/i,
    expected: 'nfs://HOST/EXPORT or HOST:/EXPORT',
  },
  CIFS: {
    pattern: /^((?:cifs|smb):\/\/[^/\s@]+|\/\/[^/\s@]+)(\/\S*)?$/i,
    expected: 'cifs://HOST/SHARE or //HOST/SHARE',
  },
} as const

function share(config: Config, transport: 'NFS' | 'CIFS', cannot: string): { sharePath: string; url: string } {
  const section = sectionOf(transport)
  const { base_url: base, share_path: sharePath } = config[section]
  if (base === null || sharePath === null) {
    const missing = base === null ? (sharePath === null ? 'base_url and no share_path' : 'base_url') : 'share_path'
    throw new InvalidInput(
      `${cannot}: vmedia_transport_protocol is ${transport} and [${section}] has no ${missing}; expected the share's ` +
        'address for BMCs and its directory on the conductors',
    )
  }
  const [, host = '', path = ''] = forms[transport].pattern.exec(base) ?? []
  if (host === '') {
    // Not shown: it may hold a password.
    throw new InvalidInput(
      `${cannot}: [${section}] base_url is no address of a share; expected ${forms[transport].expected}` +
        `${base.includes('@') ? ', without a user' : ''}`,
    )
  }
  // As in Ironic, where the directory is exported under its own name.
  const whole = withoutSlashesAtEnd(path) === '' ? sharePath : withoutSlashesAtEnd(path)
  return { sharePath, url: `${host}${whole}` }
}

const pushDirectory = (config: Config, part: string) => join(config.DEFAULT.state_path, 'pushed', part)
