import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { listConductors } from '#db/conductors.ts'
import { openDatabase } from '#db/database.ts'
import { main } from './serve.ts'

test('a service that cannot listen says why and leaves no conductor behind', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-serve-'))
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as AddressInfo // it listens on TCP
  const database = join(directory, 'ferrite.sqlite')
  const file = join(directory, 'ferrite.conf')
  const sections = [
    `[DEFAULT]\nmy_ip = 127.0.0.1\nstate_path = ${directory}`,
    `[database]\nconnection = sqlite:///${database}`,
    `[api]\nhost_ip = 127.0.0.1\nport = ${port}`,
    '[ferrite]\nhttp_host = 127.0.0.1\nhttp_port = 0',
  ]
  await writeFile(file, `${sections.join('\n')}\n`)
  const said = t.mock.method(console, 'error', () => {})
  assert.equal(await main(['--config-file', file]), 1)
  assert.match(String(said.mock.calls[0]?.arguments[0]), /EADDRINUSE.*set \[api\] host_ip and port/)
  const db = await openDatabase(database)
  assert.deepEqual(await listConductors(db), [])
  await db.destroy()
  await new Promise(resolve => taken.close(resolve))
  await rm(directory, { recursive: true, force: true })
})
