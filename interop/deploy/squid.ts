/**
 * A real caching Squid (Debian: squid) in a place, with a configuration of its own: objects of any size that an image has,
 * by their whole URL, for as long as their server says. The system's Squid is not read.
 */
import { chmod, chown, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from '#lib/run.ts'
import type { Place } from './place.ts'

export interface Squid {
  readonly url: string
  /** `CLIENT RESULT/STATUS BYTES METHOD` of each request that is over, such as `TCP_MEM_HIT/200`. */
  requests(): Promise<string[]>
}

export async function startSquid(place: Place, { port = 3128 } = {}): Promise<Squid> {
  const directory = await place.folder('squid')
  const configuration = join(directory, 'squid.conf')
  const log = join(directory, 'access.log')
  await writeFile(
    configuration,
    [
      `http_port ${place.address}:${port}`,
      'http_access allow all',
      'visible_hostname proxy',
      'maximum_object_size 8 GB',
      `cache_dir ufs ${join(directory, 'cache')} 8000 16 16`,
      'cache_mem 32 MB',
      'logformat plain %>a %Ss/%03>Hs %<st %rm',
      `access_log stdio:${log} plain`,
      'cache_log stdio:/dev/stderr',
      `pid_filename ${join(directory, 'squid.pid')}`,
      `coredump_dir ${directory}`,
      'pinger_enable off',
      'dns_nameservers 127.0.0.1',
      'shutdown_lifetime 1 second',
      '',
    ].join('\n'),
  )
  // It gives up root, so its own user must come here.
  const { stdout } = await run('id', ['-u', 'proxy'])
  await chown(directory, Number(stdout), -1)
  await chmod(dirname(directory), 0o711)
  await run('/usr/sbin/squid', ['-N', '-z', '-f', configuration])
  await place.server({ name: 'squid', command: '/usr/sbin/squid', args: ['-N', '-f', configuration], port })
  return {
    url: `http://${place.address}:${port}`,
    requests: async () => (await readFile(log, 'utf8')).split('\n').filter(line => line !== ''),
  }
}
