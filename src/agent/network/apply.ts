/**
 * `agent.mjs network FILE`: gives the machine the addresses of a network_data.json, once, before the agent starts. The
 * ramdisk's init calls it where the kernel's command line says that there is such a file; it prints a line for each card
 * that DHCP is to be asked for after all, and writes the name servers where init collects them.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Value } from 'typebox/value'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { NetworkData } from '#protocol/network-data.ts'
import { planNetwork } from './plan.ts'

/** Cards may turn up late. */
const attempts = 60
const pauseMs = 500

/**
 * What cannot be done is said on standard error.
 * @param leaseFile where name servers go, as a lease of DHCP has them; written when all is in place, and not at all where
 * the file is of no use
 */
export async function applyNetwork(file: string, leaseFile: string): Promise<void> {
  try {
    await apply(file, leaseFile)
  } catch (error) {
    console.error(`ferrite: static network: ${messageOf(error)}`)
    process.exitCode = 1
  }
}

async function apply(file: string, leaseFile: string): Promise<void> {
  const data: unknown = JSON.parse(await readFile(file, 'utf8'))
  if (!Value.Check(NetworkData, data))
    throw new Error(`${file} is no network_data, expected links, networks and services`)
  let plan = planNetwork(data, await cards())
  for (let attempt = 1; plan.problems.length > 0 && attempt < attempts; attempt += 1) {
    await sleep(pauseMs)
    plan = planNetwork(data, await cards())
  }
  for (const problem of plan.problems) console.error(`ferrite: static network: ${problem}`)
  if (plan.commands.length === 0) throw new Error('none of it can be had on this machine')
  for (const command of plan.commands) {
    // One part that cannot be had must not keep the rest from being.
    await run('ip', command).catch(error => console.error(`ferrite: static network: ${messageOf(error)}`))
  }
  for (const name of plan.dhcp) console.log(name)
  await writeFile(leaseFile, plan.nameServers.map(address => `nameserver ${address}\n`).join(''))
}

/** Names of physical cards by MAC address. */
async function cards(): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const name of await readdir('/sys/class/net')) {
    const isCard = await readdir(`/sys/class/net/${name}/device`).then(
      () => true,
      () => false,
    )
    if (!isCard) continue
    const address = await readFile(`/sys/class/net/${name}/address`, 'utf8').catch(() => '')
    if (address.trim() !== '') found.set(address.trim().toLowerCase(), name)
  }
  return found
}
