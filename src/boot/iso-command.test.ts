import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { main } from './iso-command.ts'

const scratch = await mkdtemp(join(tmpdir(), 'ferrite-iso-command-'))
after(() => rm(scratch, { recursive: true }))
const missing = ['/usr/bin/xorriso', '/usr/lib/ISOLINUX/isolinux.bin'].find(path => !existsSync(path))

test('a ramdisk becomes an ISO with its parameters', { skip: missing && `needs ${missing}` }, async () => {
  await writeFile(join(scratch, 'ferrite-agent.kernel'), 'a kernel')
  await writeFile(join(scratch, 'ferrite-agent.initramfs'), 'an initramfs')
  const output = join(scratch, 'made.iso')
  const parameters = 'console=ttyS0 ipa-api-url=http://192.0.2.1:6385'
  assert.equal(await main(['--ramdisk', scratch, '--output', output, '--parameters', parameters]), 0)
  const read = (path: string) => {
    const file = join(scratch, 'extracted')
    execFileSync('xorriso', ['-osirrox', 'on', '-indev', output, '-extract', path, file], { stdio: 'ignore' })
    return execFileSync('cat', [file], { encoding: 'utf8' })
  }
  assert.equal(read('/vmlinuz'), 'a kernel')
  await rm(join(scratch, 'extracted'))
  assert.match(read('/isolinux/isolinux.cfg'), /APPEND console=ttyS0 ipa-api-url=http:\/\/192\.0\.2\.1:6385/)
})

test('a ramdisk that is not there ends with 1, an option that is none with 2', async () => {
  assert.equal(await main(['--ramdisk', join(scratch, 'nothing'), '--output', join(scratch, 'none.iso')]), 1)
  assert.ok(!existsSync(join(scratch, 'none.iso')))
  assert.equal(await main(['--colour']), 2)
})
