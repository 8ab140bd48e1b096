/** Container steps, with a podman of the test's own. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import type { ContainerPolicy } from '#protocol/agent.ts'
import { Failure, type FakePrograms, fakePrograms } from '../fake-programs.ts'
import { type DeclaredStep, declaredSteps } from './container-steps.ts'
import { containerManager } from './containers.ts'
import { selectHardware } from './dispatch.ts'
import { testContext } from './test-run.ts'

const strict: ContainerPolicy = {
  allow_arbitrary_containers: false,
  allowed_containers: ['docker://registry.example/burn:1'],
  runner: 'podman',
  pull_options: ['--tls-verify=false --quiet'],
  run_options: ['--rm', '--network=host'],
}
let fakes: FakePrograms
beforeEach(async () => {
  fakes = await fakePrograms()
  fakes.add('podman', args => (args[0] === 'run' ? 'burnt in' : ''))
})
afterEach(() => fakes.remove())

async function ran(
  policy: ContainerPolicy | null,
  args: Record<string, unknown>,
  { step = 'generic_container_step', declared = [] as readonly DeclaredStep[] } = {},
): Promise<unknown> {
  const agent = testContext({ devices: [], stateDir: tmpdir(), options: { containers: policy } })
  const hardware = await selectHardware(agent, [containerManager(declared)])
  const node = { uuid: 'u', properties: {}, instance_info: {} }
  const { signal } = new AbortController()
  return hardware.runStep(step, args, { agent, node, ports: [], progress: () => {}, signal })
}
const called = () => fakes.calls.filter(call => !call.includes('--version'))

test('a listed container runs with the options of the operator, whatever the caller wants', async () => {
  const args = { container_url: 'oci://registry.example/burn:1', run_options: ['--privileged'] }
  assert.equal(await ran(strict, args), 'burnt in')
  assert.deepEqual(called(), [
    'podman pull --tls-verify=false --quiet registry.example/burn:1',
    'podman run --rm --network=host registry.example/burn:1',
  ])
})

test('any other runs where that is allowed, with the options of the caller', async () => {
  const args = { container_url: 'other/tool', pull_options: [], run_options: ['--privileged --rm'] }
  await ran({ ...strict, allow_arbitrary_containers: true }, args)
  assert.deepEqual(called(), ['podman pull other/tool', 'podman run --privileged --rm other/tool'])
})

const refusals: [what: string, policy: ContainerPolicy | null, args: Record<string, unknown>, message: RegExp][] = [
  ['one that is not listed', strict, { container_url: 'other/tool' }, /other\/tool is not among .*allowed_containers/],
  ['any before the conductor has spoken', null, { container_url: 'other/tool' }, /has not said which containers/],
  [
    'an option in the place of a name',
    { ...strict, allow_arbitrary_containers: true },
    { container_url: '--privileged' },
    /container_url is "--privileged", expected the name/,
  ],
  [
    'options that are no texts',
    { ...strict, allow_arbitrary_containers: true },
    { container_url: 'x', run_options: [7] },
    /run_options is \[7\], expected a list of texts/,
  ],
]
for (const [what, policy, args, message] of refusals) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(ran(policy, args), message)
    assert.deepEqual(called(), [])
  })
}

test('a container that fails is a failed step', async () => {
  fakes.add('podman', args => {
    if (args[0] === 'run') throw new Failure('disk is worn out', 3)
    return ''
  })
  await assert.rejects(ran(strict, { container_url: 'registry.example/burn:1' }), /burn:1 failed: .*disk is worn out/s)
})

test('a ramdisk without podman and docker has no such step', async () => {
  for (const name of ['podman', 'docker']) {
    fakes.add(name, () => {
      throw new Failure('not here', 127)
    })
  }
  await assert.rejects(
    ran(strict, { container_url: 'registry.example/burn:1' }),
    /None of 1 hardware managers fits this machine/,
  )
})

/** @returns what the agent makes of such a file */
async function declared(content: string, taken: readonly string[] = []): Promise<DeclaredStep[]> {
  const dir = mkdtempSync(join(tmpdir(), 'ferrite-steps-'))
  try {
    const containerStepsFile = join(dir, 'steps.yaml')
    writeFileSync(containerStepsFile, content)
    return await declaredSteps(testContext({ devices: [], stateDir: dir, options: { containerStepsFile } }), taken)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

const file = `
steps:
- name: burn
  image: docker://registry.example/burn:2
  interface: deploy
  priority: 20
  reboot_requested: true
  abortable: false
- {name: scrub, image: other/scrub, interface: deploy, priority: 0, reboot_requested: false, abortable: true,
   pull_options: [--quiet], run_options: --privileged -v /dev:/dev}
`

test('steps that the ramdisk declares run their container, whatever the conductor allows', async () => {
  const steps = await declared(file)
  const agent = testContext({ devices: [], stateDir: tmpdir() })
  const hardware = await selectHardware(agent, [containerManager(steps)])
  const offered = (kind: 'clean' | 'deploy' | 'service') =>
    hardware.offeredSteps(kind).ContainerHardwareManager?.find(({ step }) => step === 'burn')
  const burn = { step: 'burn', interface: 'deploy', reboot_requested: true, abortable: false }
  assert.deepEqual(offered('clean'), { ...burn, priority: 20 })
  assert.deepEqual(offered('deploy'), { ...burn, priority: 0 })
  assert.deepEqual(offered('service'), { ...burn, priority: 0 })

  assert.equal(await ran(null, {}, { step: 'burn', declared: steps }), 'burnt in')
  await ran(strict, {}, { step: 'scrub', declared: steps })
  assert.deepEqual(called(), [
    'podman pull registry.example/burn:2',
    'podman run --rm --network=host registry.example/burn:2',
    'podman pull --quiet other/scrub',
    'podman run --privileged -v /dev:/dev other/scrub',
  ])
  await ran(strict, { container_url: 'registry.example/burn:1' }, { step: 'container_clean_step' })
})

test('a file of steps that is not understood is an error; none, and an empty one, are not', async () => {
  assert.deepEqual(await declared(''), [])
  assert.deepEqual(await declared('steps:'), [])
  assert.deepEqual(await declaredSteps(testContext({ devices: [], stateDir: tmpdir() }), []), [])
  for (const [content, message] of [
    ['steps: [', /steps\.yaml: found .*; expected steps with name/s],
    ['[]', /Cannot read the container steps/],
    [file.replace('  image: docker://registry.example/burn:2\n', ''), /found .*image/],
    [file.replace('burn\n', 'erase_devices\n'), /more than one step erase_devices/],
    [file.replace('scrub,', 'burn,'), /more than one step burn/],
  ] as const) {
    await assert.rejects(declared(content, ['erase_devices']), { message })
  }
})
