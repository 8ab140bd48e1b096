/** gophercloud, the library below Metal3 and Terraform: the Go program in gophercloud/ drives the service with it. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { buildGophercloud, whyNoGo } from './go.ts'
import { bareEnvironment } from './programs.ts'
import { conductor, startService } from './service.ts'

test('gophercloud: the life that Metal3 gives a host, and the calls besides', {
  skip: await whyNoGo(),
}, async () => {
  await using opened = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-gophercloud-'))
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  const program = await buildGophercloud(directory)
  const service = opened.use(await startService())
  // A check that fails is a panic with its words in what the fault of execFile shows.
  const env = { ...bareEnvironment, ...service.environment }
  const { stdout } = await promisify(execFile)(program, [conductor], { env, timeout: 300_000 })
  console.log(stdout)
})
