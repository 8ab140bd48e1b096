/** `npm run test:guides`: every command of the guides is run, against a service with simulated machines of its own. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { brisk } from '#sim/settings.ts'
import { Site } from '#sim/site.ts'
import { commandsOf, fits } from './console-blocks.ts'

let directory: string
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ferrite-guides-'))
  await symlink(join(import.meta.dirname, '../../ferrite'), join(directory, 'ferrite'))
})
after(() => rm(directory, { recursive: true, force: true }))

for (const guide of ['start.md', 'operator.md']) {
  test(guide, async () => {
    const site = await Site.start({ directory: join(directory, guide), nodes: 3, settings: brisk })
    try {
      for (const machine of site.fleet.machines) await site.enrol(machine)
      const info = site.instanceInfo()
      const env = {
        ...{ PATH: `${directory}:/usr/bin:/bin`, HOME: directory, OS_ENDPOINT: site.service.endpoint },
        ...{ IMAGE_URL: String(info.image_source), IMAGE_SHA256: String(info.image_os_hash_value) },
      }
      for (const { line, command, expected } of commandsOf(guide)) {
        const { status, out, err } = await typed(command, env)
        assert.equal(status, 0, `${guide}:${line}: ${command}\n${err}`)
        assert.ok(
          fits(out, expected),
          `${guide}:${line}: ${command}\nprinted:\n${out}expected:\n${expected.join('\n')}`,
        )
      }
    } finally {
      await site.stop()
    }
  })
}

function typed(command: string, env: Record<string, string>): Promise<{ status: number; out: string; err: string }> {
  return new Promise(resolve =>
    execFile('/bin/sh', ['-c', command], { env, timeout: 600_000, maxBuffer: 2 ** 26 }, (error, out, err) =>
      resolve({ status: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, out, err }),
    ),
  )
}
