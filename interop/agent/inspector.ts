/** A stock ironic-inspector beside a stock Ironic, which boots the machines for it. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '#lib/run.ts'
import type { Place } from '../deploy/place.ts'
import { debianProgram, env, shareable } from './editions.ts'
import { iniText } from './ini.ts'

export async function startInspector(
  place: Place,
  { port, ironicPort }: { port: number; ironicPort: number },
): Promise<void> {
  const state = await place.folder('inspector')
  const database = join(state, 'inspector.db')
  const file = join(state, 'inspector.conf')
  const sections = {
    DEFAULT: {
      auth_strategy: 'noauth',
      listen_address: place.address,
      listen_port: port,
      transport_url: 'fake://',
      standalone: true,
      use_stderr: true,
      debug: true,
      can_manage_boot: false,
    },
    database: { connection: `sqlite:///${database}`, sqlite_synchronous: false },
    ironic: { auth_type: 'none', endpoint_override: `http://${place.address}:${ironicPort}` },
    pxe_filter: { driver: 'noop' },
    processing: { store_data: 'database', power_off: false },
    oslo_concurrency: { lock_path: join(state, 'locks') },
  }
  await writeFile(file, iniText(sections))
  const [dbsync, ...first] = debianProgram('ironic_inspector.cmd.dbsync', 'ironic-inspector-dbsync')
  await run(dbsync, [...first, '--config-file', file, 'upgrade'])
  shareable(database)
  const [command, ...args] = debianProgram('ironic_inspector.cmd.all', 'ironic-inspector')
  await place.server({ name: 'ironic-inspector', command, args: [...args, '--config-file', file], env, port })
}
