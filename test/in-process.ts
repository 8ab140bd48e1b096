/** The real API over the real conductor in this process, on a database of its own: what `ferrite serve` is, without boot services. */
import type { AddressInfo } from 'node:net'
import { type Conductor, createConductor } from '#conductor/service.ts'
import { loadConfig, type Overrides } from '#config/load.ts'
import type { Db } from '#db/database.ts'
import { freshDatabase } from '#db/test-database.ts'
import { loadRegistry } from '#drivers/registry.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { type AppOptions, createApp } from '#server/app.ts'

export interface InProcess {
  db: Db
  conductor: Conductor
  /** Of the API. */
  url: string
  close(): Promise<void>
}

/** @param auth default: everyone is the administrator */
export async function startInProcess(overrides: Overrides, auth?: AppOptions['auth']): Promise<InProcess> {
  const config = await loadConfig({ overrides })
  const db = await freshDatabase()
  const registry = await loadRegistry(config)
  const parts = { db, config, registry, clock: systemClock, log: silent }
  const conductor = createConductor({ ...parts, portsChanged: async () => {} })
  const app = createApp({ ...parts, conductor, ...(auth ? { auth } : {}) })
  await app.listen({ host: '127.0.0.1', port: 0 })
  await conductor.start()
  const { port } = app.server.address() as AddressInfo // it listens on TCP
  return {
    db,
    conductor,
    url: `http://127.0.0.1:${port}`,
    async close() {
      await app.close()
      await conductor.stop()
      await db.destroy()
    },
  }
}
