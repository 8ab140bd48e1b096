/** openstacksdk, the library below Ansible and Nova: sdk/main.py drives all of its calls and checks each answer. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { forClients } from '#lab/host-packages.ts'
import { whyMissing } from './packages.ts'
import { bareEnvironment, programDirectory } from './programs.ts'
import { conductor, startService } from './service.ts'

describe('openstacksdk', { skip: await whyMissing(forClients) }, () => {
  test('drives every call of its baremetal proxy', async () => {
    await using service = await startService()
    const script = join(import.meta.dirname, 'sdk/main.py')
    const env = { ...bareEnvironment, PYTHONDONTWRITEBYTECODE: '1', ...service.environment }
    // A check that fails is an AssertionError with its line in what the fault of execFile shows.
    const args = ['-W', 'ignore', script, conductor]
    const { stdout } = await promisify(execFile)(join(programDirectory, 'python3'), args, { env, timeout: 300_000 })
    console.log(stdout)
  })
})
