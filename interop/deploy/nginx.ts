/** A real nginx (Debian: nginx) in a place of its own, with a configuration of its own; the system's is not read. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Place } from './place.ts'

export interface Nginx {
  readonly url: string
  /** `CLIENT METHOD PATH STATUS BYTES` of each request that is over. */
  requests(): Promise<string[]>
}

/** @param root what is served; symbolic links are followed, wherever they lead */
export async function startNginx(place: Place, { root, port = 8180 }: { root: string; port?: number }): Promise<Nginx> {
  const directory = await place.folder(`nginx-${port}`)
  const access = join(directory, 'access.log')
  const configuration = join(directory, 'nginx.conf')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => {
    return `  ${name}_temp_path ${join(directory, name)};`
  })
  await writeFile(
    configuration,
    [
      // As root, since the files of a checkout may be readable for nobody else.
      'daemon off;',
      'user root;',
      `pid ${join(directory, 'nginx.pid')};`,
      'error_log stderr warn;',
      'events {}',
      'http {',
      ...temporary,
      "  log_format plain '$remote_addr $request_method $request_uri $status $body_bytes_sent';",
      `  access_log ${access} plain;`,
      '  sendfile on;',
      '  server {',
      `    listen ${place.address}:${port};`,
      `    root ${root};`,
      '    disable_symlinks off;',
      '  }',
      '}',
      '',
    ].join('\n'),
  )
  const args = ['-p', directory, '-c', configuration]
  await place.server({ name: `nginx-${port}`, command: '/usr/sbin/nginx', args, port })
  return {
    url: `http://${place.address}:${port}`,
    requests: async () => (await readFile(access, 'utf8')).split('\n').filter(line => line !== ''),
  }
}
