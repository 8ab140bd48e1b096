/** Hardware managers that are programs: what the agent makes of good ones and of bad ones. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Progress } from '#protocol/agent.ts'
import type { AgentContext } from '../context.ts'
import { MIB, setUp, startOf } from '../image/test-setup.ts'
import { serveImage } from '../image-server.ts'
import { needsRoot } from '../loop-disk.ts'
import { defaultOptions } from '../options.ts'
import { readSettings } from '../settings.ts'
import { Store } from '../store.ts'
import { selectHardware } from './dispatch.ts'
import { genericManager } from './generic.ts'
import type { Hardware } from './manager.ts'
import { plugIns } from './plug-in.ts'

const top = mkdtempSync(join(tmpdir(), 'ferrite-plug-ins-'))
after(() => rmSync(top, { recursive: true }))
const example = new URL('../../../examples/hardware-managers/raw-over-http', import.meta.url).pathname

interface World {
  context: AgentContext
  folder: string
  logged: string[]
}

function world(programs: Record<string, string> = {}): World {
  const folder = mkdtempSync(join(top, 'folder-'))
  const logged: string[] = []
  const log = (line: string) => void logged.push(line)
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  }
  const context: AgentContext = {
    options: defaultOptions(),
    settings: readSettings(['--guest', '--plugin-dir', folder], {}),
    store: new Store(mkdtempSync(join(top, 'state-'))),
    log: { info: log, warn: log, error: log, debug: log },
    node: null,
  }
  return { context, folder, logged }
}

const describing = (steps: object[], more: object = {}) =>
  `read -r request; case $request in *'"call":"describe"'*) echo '${JSON.stringify({
    result: { name: 'acme', version: '7', support_level: 3, steps, ...more },
  })}'; exit;; esac`

async function runStep(hardware: Hardware, context: AgentContext, name: string, args: Record<string, unknown> = {}) {
  const reports: Pick<Progress, 'phase' | 'bytes' | 'total_bytes'>[] = []
  const node = { uuid: 'u', properties: {}, instance_info: { image: 'x' } }
  const { signal } = new AbortController()
  const result = await hardware.runStep(name, args, {
    agent: context,
    node,
    ports: [],
    signal,
    progress: report => reports.push(report),
  })
  return { result, reports }
}

const write = { step: 'write', interface: 'deploy', deploy: { priority: 70 }, argsinfo: { a: { description: 'A.' } } }

test('a program describes itself, runs its steps with their arguments, tells progress and answers', async () => {
  const w = world({
    acme: `${describing([write])}
echo "a is $FERRITE_ARG_a" >&2
echo '{"progress": {"phase": "writing", "bytes": 5, "total_bytes": 10}}'
printf '{"result": {"step": "%s", "asked": %s}}\\n' "$FERRITE_STEP" "$request"`,
  })
  const hardware = await selectHardware(w.context, await plugIns(w.context))
  assert.deepEqual(hardware.versions(), { acme: '7' })
  const described = {
    step: 'write',
    interface: 'deploy',
    priority: 70,
    reboot_requested: false,
    argsinfo: write.argsinfo,
  }
  assert.deepEqual(hardware.offeredSteps('deploy'), { acme: [described] })
  assert.deepEqual(hardware.offeredSteps('clean'), { acme: [] })
  const { result, reports } = await runStep(hardware, w.context, 'write', { a: 'b c', deep: { x: 1 } })
  assert.deepEqual(reports, [{ phase: 'writing', bytes: 5, total_bytes: 10 }])
  const { step, asked } = result as { step: string; asked: Record<string, unknown> } // as printed above
  assert.equal(step, 'write')
  assert.deepEqual(asked.args, { a: 'b c', deep: { x: 1 } })
  assert.deepEqual([asked.call, asked.step, asked.root_device], ['step', 'write', null])
  assert.ok(w.logged.some(line => line.endsWith('/acme: a is b c')))
})

test('a program that knows the hardware better takes a step of the generic manager over', async () => {
  const w = world({
    acme: `${describing([{ ...write, step: 'erase_devices', clean: { priority: 12 } }])}; echo '{"result": 1}'`,
  })
  const hardware = await selectHardware(w.context, [genericManager(w.context), ...(await plugIns(w.context))])
  const all = Object.entries(hardware.offeredSteps('clean')).flatMap(([by, steps]) => steps.map(s => `${by}.${s.step}`))
  assert.ok(all.includes('acme.erase_devices') && !all.includes('GenericHardwareManager.erase_devices'), all.join())
  assert.deepEqual((await runStep(hardware, w.context, 'erase_devices')).result, 1)
})

const bad: [what: string, script: string, why: RegExp][] = [
  ['nothing', 'exit 0', /ended without an answer/],
  ['prose', 'echo hello', /without an answer, having said "hello"; expected a line/],
  ['a failure', 'exit 3', /ended with status 3/],
  ['half a description', `echo '{"result": {"name": "x"}}'`, /answer to "describe" is not usable: .*version/],
  ['steps without a name', describing([{ interface: 'deploy' }]), /answer to "describe" is not usable: \/steps\/0/],
  ['an error', `echo '{"error": "no such card"}'`, /no such card/],
]
test('programs that cannot describe themselves, and files that are no programs, are left out and named', async () => {
  const w = world(
    Object.fromEntries([['good', describing([write])], ...bad.map(([, script], index) => [`bad-${index}`, script])]),
  )
  mkdirSync(join(w.folder, 'a-folder'))
  writeFileSync(join(w.folder, 'read-me'), 'text', { mode: 0o644 })
  writeFileSync(join(w.folder, 'strange'), 'no interpreter', { mode: 0o755 })
  const found = await plugIns(w.context)
  assert.deepEqual(
    found.map(manager => manager.className),
    ['acme'],
  )
  for (const [index, [what, , why]] of bad.entries()) {
    const line = w.logged.find(each => each.includes(`/bad-${index} is left out`))
    assert.match(line ?? '', why, what)
  }
  assert.ok(w.logged.some(line => line.includes('/strange is left out')))
})

test('support level 0 is not for this machine; no folder is no plug-in', async () => {
  const w = world({ acme: describing([write], { support_level: 0 }) })
  const hardware = await selectHardware(w.context, [genericManager(w.context), ...(await plugIns(w.context))])
  assert.deepEqual(Object.keys(hardware.versions()), ['generic_hardware_manager'])
  rmSync(w.folder, { recursive: true })
  assert.deepEqual(await plugIns(w.context), [])
})

test('a step that fails says why; one that is stopped is stopped with its program', async () => {
  const w = world({
    acme: `${describing([write, { ...write, step: 'hang' }])}
case $FERRITE_STEP in hang) exec sleep 600;; esac
echo '{"error": "the card is gone"}'; exit 1`,
  })
  const hardware = await selectHardware(w.context, await plugIns(w.context))
  await assert.rejects(runStep(hardware, w.context, 'write'), /^AgentFault: the card is gone$|the card is gone/)
  const stop = new AbortController()
  const node = { uuid: 'u', properties: {}, instance_info: {} }
  const options = { agent: w.context, node, ports: [], signal: stop.signal, progress: () => {} }
  const hanging = hardware.runStep('hang', {}, options)
  setTimeout(() => stop.abort(), 200)
  await assert.rejects(hanging, /cannot be run: .*abort/i)
})

test('the example writes an image to the root disk, and leaves none that is another one', {
  skip: needsRoot,
}, async () => {
  const image = randomBytes(3 * MIB)
  const bench = await setUp(Buffer.alloc(0), { sizeMib: 8 })
  const server = await serveImage(image)
  try {
    const w = world()
    copyFileSync(example, join(w.folder, 'raw-over-http'))
    const flags = ['--guest', '--plugin-dir', w.folder, '--only-devices', bench.disk.device]
    const context = { ...w.context, settings: readSettings(flags, {}) }
    const hardware = await selectHardware(context, [genericManager(context), ...(await plugIns(context))])
    const sha256 = createHash('sha256').update(image).digest('hex')
    const hints = { root_device: { name: bench.disk.device } }
    const run = { agent: context, ports: [], signal: new AbortController().signal, progress: () => {} }
    const node = { uuid: 'u', properties: hints, instance_info: {} }
    const args = { url: server.url, sha256 }
    assert.deepEqual(await hardware.runStep('write_raw', args, { ...run, node }), { written: true })
    assert.ok(startOf(bench.disk.device, image.length).equals(image))
    const other = { ...args, sha256: '0'.repeat(64) }
    await assert.rejects(
      hardware.runStep('write_raw', other, { ...run, node }),
      new RegExp(`is ${sha256}, expected 0000`),
    )
    assert.ok(startOf(bench.disk.device, MIB).every(byte => byte === 0))
    const nowhere = { ...node, properties: { root_device: { name: '/dev/none' } } }
    await assert.rejects(
      hardware.runStep('write_raw', args, { ...run, node: nowhere }),
      /No disk fits the root device hints/,
    )
  } finally {
    await bench.remove()
    await server.close()
  }
})
