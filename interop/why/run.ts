/**
 * `npm run interop:why`: breaks something, asks `why`, and judges the answer, for each fault of faults/. Prints a table.
 *
 *     npm run interop:why -- [--list] [--quick] [--write] [NAME...]
 *
 * Without names: all; quick: those without a QEMU machine; write: put the verdicts into docs/why.md.
 *
 * Everything runs in a network namespace of its own. It ends with 0 only when the right cause was named for at least nine
 * faults of ten, and none was left unexplained.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { ensureHostPackages, forLab } from '#lab/host-packages.ts'
import { destroyNetwork, namespaces } from '#lab/network.ts'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { buildRamdisk } from '#ramdisk/build.ts'
import { World } from '../../test/vm/world.ts'
import { Bench } from './bench.ts'
import type { BenchFault, FaultCase, MachineFault } from './fault-case.ts'
import agentFaults from './faults/agent.ts'
import bmcFaults from './faults/bmc.ts'
import bootFaults from './faults/boot.ts'
import imageFaults from './faults/image.ts'
import machineFaults from './faults/machine.ts'
import serviceFaults from './faults/service.ts'
import { isGood, judged, judgedAsFailed, table, type Verdict, writeTable } from './verdicts.ts'

const known: readonly FaultCase[] = [
  bmcFaults,
  bootFaults,
  agentFaults,
  imageFaults,
  serviceFaults,
  machineFaults,
].flat()

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean' },
    quick: { type: 'boolean' },
    write: { type: 'boolean' },
    inside: { type: 'string' },
  },
})
if (values.list) for (const { name, broken } of known) console.log(`${name.padEnd(28)} ${broken}`)
else if (values.inside === undefined) process.exitCode = await outside()
else process.exitCode = await inside()

/** Prepares what needs the host's network, and goes on in a namespace. */
async function outside(): Promise<number> {
  const unknown = positionals.filter(name => !known.some(fault => fault.name === name))
  if (unknown.length > 0) {
    console.error(`Cannot try ${unknown.join(', ')}: the faults are ${known.map(fault => fault.name).join(', ')}`)
    return 2
  }
  if (process.geteuid?.() !== 0) {
    console.error('Cannot try faults: not root, and the bench needs network namespaces')
    return 1
  }
  await ensureHostPackages(forLab, line => console.log(line))
  if (chosen().some(({ on }) => on === 'machine')) await buildRamdisk({ log: line => console.log(line) })
  const namespace = `ferrite-why-${process.pid}`
  await run('ip', ['netns', 'add', namespace])
  await run('ip', ['-netns', namespace, 'link', 'set', 'lo', 'up'])
  const own = [...process.execArgv, import.meta.filename, '--inside', namespace, ...process.argv.slice(2)]
  const args = ['netns', 'exec', namespace, process.execPath, ...own]
  const child = spawn('ip', args, { stdio: 'inherit', env: { ...process.env, NO_PROXY: '*', no_proxy: '*' } })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  const [code] = await once(child, 'exit')
  await destroyNetwork(namespace)
  // What a killed bench left: its machines are named after it.
  for (const name of await namespaces())
    if (name.startsWith(`ferrite-why-${child.pid}-`))
      await run('ip', ['netns', 'delete', name]).catch(() => rm(`/run/netns/${name}`, { force: true }))
  return typeof code === 'number' ? code : 1
}

function chosen(): FaultCase[] {
  const wanted = known.filter(({ name, on }) =>
    positionals.length > 0 ? positionals.includes(name) : !values.quick || on === 'bench',
  )
  return wanted.sort((a, b) => Number(a.on === 'machine') - Number(b.on === 'machine'))
}

async function inside(): Promise<number> {
  const verdicts: Verdict[] = []
  const faults = chosen()
  const onBench = faults.filter(fault => fault.on === 'bench')
  if (onBench.length > 0) {
    const bench = await Bench.open()
    try {
      // The service is started anew for other options, so those with the same ones follow each other.
      const byConfig = Map.groupBy(onBench, ({ config }) => JSON.stringify(config))
      for (const fault of [...byConfig.values()].flat())
        verdicts.push(await tried(fault, () => onTheBench(bench, fault)))
    } finally {
      await bench.close()
    }
  }
  for (const fault of faults) if (fault.on === 'machine') verdicts.push(await tried(fault, () => onMachine(fault)))
  console.log(`\n${table(verdicts)}`)
  if (values.write) {
    await writeTable(
      verdicts,
      known.map(({ name }) => name),
    )
  }
  const good = verdicts.filter(isGood).length
  console.log(`\n${good} of ${verdicts.length} explained rightly`)
  const isComplete = verdicts.every(verdict => verdict.found !== null)
  return verdicts.length > 0 && isComplete && good >= 0.9 * verdicts.length ? 0 : 1
}

async function tried(fault: FaultCase, explain: () => ReturnType<BenchFault['explained']>): Promise<Verdict> {
  const began = performance.now()
  const seconds = () => Math.round((performance.now() - began) / 1000)
  console.log(`\n== ${fault.name}: ${fault.broken}`)
  try {
    const verdict = judged(fault, await explain(), seconds())
    const { found } = verdict
    console.log(`${isGood(verdict) ? 'right' : 'WRONG'} (${seconds()} s): ${found?.cause}: ${found?.summary}`)
    for (const line of [...(found?.evidence ?? []), ...(found?.actions ?? [])]) console.log(`   ${line}`)
    return verdict
  } catch (error) {
    console.error(error)
    return judgedAsFailed(fault, messageOf(error), seconds())
  }
}

async function onTheBench(bench: Bench, fault: BenchFault): ReturnType<BenchFault['explained']> {
  await bench.configure(fault.config)
  try {
    return await fault.explained(bench)
  } catch (error) {
    console.error(await bench.service.lastLines(12).catch(messageOf))
    throw error
  } finally {
    for (const line of await bench.newErrors()) console.log(`   ${line}`)
    const { around } = bench
    bench.around = new AsyncDisposableStack()
    await around.disposeAsync()
  }
}

async function onMachine(fault: MachineFault): ReturnType<MachineFault['explained']> {
  const { config, firmware = 'bios', machine } = fault
  const world = await World.open({
    name: 'why',
    firmware,
    ...(machine === undefined ? {} : { machine }),
    ...(config === undefined ? {} : { config }),
  })
  try {
    return await fault.explained(world)
  } finally {
    await world.close()
  }
}
