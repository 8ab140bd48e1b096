/** openstacksdk, the library below Ansible and Nova: openstacksdk.py drives the service with it and checks each answer. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { forClients } from '#lab/host-packages.ts'
import { whyMissing } from './packages.ts'
import { conductor, startService } from './service.ts'

describe('openstacksdk', { skip: await whyMissing(forClients) }, () => {
  test('drives nodes, ports, drivers, conductors, power and provision', async t => {
    await using service = await startService()
    const script = join(import.meta.dirname, 'openstacksdk.py')
    const env = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', LANG: 'C.UTF-8' }
    // A check that fails is an AssertionError with its line in what the fault of execFile shows.
    const { stdout } = await promisify(execFile)(
      '/usr/bin/python3',
      ['-W', 'ignore', script, service.endpoint, conductor],
      {
        env,
        timeout: 180_000,
      },
    )
    for (const line of stdout.trim().split('\n')) t.diagnostic(line)
  })
})
