/** Kickstarts as the real pykickstart reads them: ours, and what it makes of one that is wrong. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { configDriveSections } from '#drivers/anaconda/config-drive.ts'
import { checkKickstart, checkTemplate, kickstart } from '#drivers/anaconda/kickstart.ts'
import { testContext } from '#drivers/test-context.ts'
import { configDrive } from '#images/config-drive.ts'
import { whyMissing } from '../clients/packages.ts'

let folder: string
const path = process.env.PATH

describe('kickstarts with the real validator', { skip: await whyMissing(['python3-venv', 'xorriso']) }, () => {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ferrite-pykickstart-'))
    execFileSync('python3', ['-m', 'venv', folder])
    execFileSync(join(folder, 'bin/pip'), ['install', '--quiet', 'pykickstart'])
    process.env.PATH = `${join(folder, 'bin')}:${path}`
  })
  after(async () => {
    process.env.PATH = path
    await rm(folder, { recursive: true })
  })

  for (const isPath of [false, true]) {
    test(`ours is one, for ${isPath ? 'a repository' : 'an image'}`, async () => {
      await using ctx = await testContext({ config: { anaconda: { insecure_heartbeat: isPath } } })
      await checkTemplate(ctx, null, { isPath })
      const given = { meta_data: { hostname: "it's" }, user_data: '%end\n%post\n' }
      const drive = await configDrive(given, ctx)
      const text = await kickstart(ctx, null, {
        liveimg_url: 'http://192.0.2.1/system.tar.xz',
        agent_token: 'token',
        heartbeat_url: 'http://192.0.2.1/v1/heartbeat/u',
        config_drive: await configDriveSections(drive, ctx.config, ctx.signal),
        ...(isPath ? { is_source_a_path: 'true' } : { liveimg_checksum: 'a'.repeat(64) }),
      })
      assert.match(text, /config_drive\/openstack\/latest\/user_data/)
      await checkKickstart(ctx, text, 'ours')
    })
  }

  test('a template that makes none is refused with its words', async () => {
    const file = join(folder, 'wrong.template')
    const needed = '{{ ks_options.liveimg_url }} {{ ks_options.agent_token }} {{ ks_options.heartbeat_url }}'
    await writeFile(file, `# ${needed}\ntext\nautopart --nonsense\nliveimg --url=x\n`)
    await using ctx = await testContext({ config: { anaconda: { default_ks_template: file } } })
    await assert.rejects(
      checkTemplate(ctx, null, { isPath: false }),
      /ksvalidator refuses .*wrong\.template.*nonsense/s,
    )
  })
})
