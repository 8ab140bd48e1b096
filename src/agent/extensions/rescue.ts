/**
 * The extension rescue: gives the ramdisk a user `rescue` with the password that the conductor sends, then leaves the
 * conductor alone, so that the machine can go to the network of its instance. Whoever logs in is to repair disks, and
 * there is no sudo here: the user has the rights of root.
 *
 * Source: openstack/ironic-python-agent `extensions/rescue.py`.
 */
import { chmod, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { shaCrypt } from '#lib/sha-crypt.ts'
import type { Command } from '../commands.ts'
import type { AgentContext } from '../context.ts'
import { AgentFault } from '../errors.ts'

/** Enough for the answer to leave. */
const answerFirstMs = 1000
/** How long the conductor takes to move the machine to another network. */
const networkMovesMs = 10_000

/** @param stopServing closes the API's port and ends the heartbeat */
export function rescueCommands(stopServing: () => Promise<void>): Record<string, Command> {
  return {
    finalize_rescue: {
      kind: 'sync',
      params: ['rescue_password', 'hashed'],
      validate: ({ rescue_password: password }) => {
        if (typeof password === 'string' && password !== '' && !/[:\n]/.test(password)) return
        throw new AgentFault('InvalidCommandParamsError', 'rescue_password must be a text of one line without a colon')
      },
      run: async ({ rescue_password: password, hashed }, { agent }) => {
        const text = String(password) // a text, see validate
        if (agent.settings.ownsMachine) await setRescuePassword('/', text, { hashed: hashed === true })
        agent.log.info('The user rescue has its password; the API closes')
        setTimeout(() => void handOver(agent, stopServing), answerFirstMs)
        return null
      },
    },
  }
}

/**
 * Makes the user `rescue` of the system below `root`, or changes its password; every other line stays as it is.
 * @param password one line; without `hashed` in the clear, and it is hashed here
 */
export async function setRescuePassword(root: string, password: string, options: { hashed: boolean }): Promise<void> {
  const hash = options.hashed ? password : await shaCrypt(password, 'sha512')
  await putLine(join(root, 'etc/passwd'), 'rescue', 'rescue:x:0:0:rescue:/root:/usr/bin/sh', 0o644)
  const today = Math.floor(Date.now() / 86_400_000)
  await putLine(join(root, 'etc/shadow'), 'rescue', `rescue:${hash}:${today}:0:99999:7:::`, 0o600)
}

/** Replaces the user's line of a file, or adds one. The file is whole at any time. */
async function putLine(path: string, user: string, line: string, mode: number): Promise<void> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter(one => one !== '' && !one.startsWith(`${user}:`))
  const next = `${path}.new`
  await writeFile(next, `${[...lines, line].join('\n')}\n`, { mode })
  // A file that was left by an earlier attempt keeps its mode.
  await chmod(next, mode)
  await rename(next, path)
}

async function handOver({ settings, log }: AgentContext, stopServing: () => Promise<void>): Promise<void> {
  await stopServing()
  if (!settings.ownsMachine) return
  await sleep(networkMovesMs)
  // Gives the address back, and asks for one in the network where the machine is now.
  for (const signal of ['-USR2', '-USR1']) {
    await run('killall', [signal, 'udhcpc']).catch(error => log.warn(`DHCP anew: ${messageOf(error)}`))
  }
}
