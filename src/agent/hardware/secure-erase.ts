/**
 * Erasing by the disk's own command: NVMe format or sanitize, ATA security erase. Each says `null` where the disk has no
 * such thing, and throws where it has and fails; what then may be done instead is for the caller to decide.
 *
 * Source: NVM Express 1.4 `Format NVM`, `Sanitize`, `Identify Controller` (OACS, FNA, SANICAP), `Sanitize Status`;
 * hdparm(8); openstack/ironic-python-agent `hardware.py` (order, passwords).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from '../errors.ts'

const sanitizePollMs = 2_000

export interface NvmeErase {
  /** Namespaces of the same machine that must survive. */
  spared: readonly string[]
  signal: AbortSignal
  /** For tests: default 2 s. */
  pollMs?: number
}

const Controller = Type.Object({
  oacs: Type.Optional(Type.Integer()),
  fna: Type.Optional(Type.Integer()),
  sanicap: Type.Optional(Type.Integer()),
})

/**
 * Formats the namespace with a secure erase, cryptographic where offered; a drive that cannot format is sanitized, which
 * means all of its namespaces.
 * @param device of a namespace: `/dev/nvme0n1`
 * @returns what was done, or null when the drive offers neither
 */
export async function eraseNvme(device: string, options: NvmeErase): Promise<string | null> {
  const { stdout } = await run('nvme', ['id-ctrl', device, '-o', 'json'])
  const { oacs = 0, fna = 0, sanicap = 0 } = identified(device, stdout)
  const siblings = options.spared.filter(name => name !== device && controllerOf(name) === controllerOf(device))
  if ((oacs & 0b10) !== 0) {
    const formatsAll = (fna & 0b11) !== 0
    if (formatsAll) refuseSiblings(device, siblings, 'a format')
    const cryptographic = (fna & 0b100) !== 0
    await run('nvme', ['format', device, '--ses', cryptographic ? '2' : '1', '--force'])
    return cryptographic ? 'NVMe format with cryptographic erase' : 'NVMe format with user data erase'
  }
  const [action, name] = (sanicap & 0b01) !== 0 ? ['4', 'cryptographic'] : ['2', 'block']
  if ((sanicap & 0b11) === 0) return null
  refuseSiblings(device, siblings, 'a sanitize')
  await run('nvme', ['sanitize', device, '--sanact', action])
  await sanitized(device, options)
  return `NVMe sanitize with ${name} erase`
}

function identified(device: string, json: string): { oacs?: number; fna?: number; sanicap?: number } {
  const controller: unknown = JSON.parse(json)
  if (Value.Check(Controller, controller)) return controller
  throw new AgentFault('BlockDeviceEraseError', `Cannot tell what ${device} can do: nvme's answer has no whole numbers`)
}

const controllerOf = (device: string) => /^\/dev\/nvme\d+/.exec(device)?.[0] ?? device

function refuseSiblings(device: string, siblings: readonly string[], what: string): void {
  if (siblings.length === 0) return
  throw new AgentFault(
    'ProtectedDeviceError',
    `Cannot erase ${device}: ${what} would take ${siblings.join(', ')} of the same controller with it`,
  )
}

/** Waits for the end of a sanitize, however long the drive takes. */
async function sanitized(device: string, { signal, pollMs = sanitizePollMs }: NvmeErase): Promise<void> {
  for (;;) {
    const { stdout } = await run('nvme', ['sanitize-log', device, '-o', 'json'])
    const status = sanitizeStatus(stdout)
    if (status === 1 || status === 4) return
    if (status !== 2) {
      throw new AgentFault('BlockDeviceEraseError', `the sanitize of ${device} ended with status ${status}, expected 1`)
    }
    await sleep(pollMs, undefined, { signal })
  }
}

/** Bits 2:0 of SSTAT; nvme-cli writes them as a number, or as text that begins with one, or below an object. */
export function sanitizeStatus(json: string): number {
  const log: unknown = JSON.parse(json)
  const find = (value: unknown): number | null => {
    if (typeof value !== 'object' || value === null) return null
    for (const [key, inner] of Object.entries(value)) {
      const text = key === 'status' || key === 'sstat' ? /^\(?(\d+)\)?/.exec(String(inner))?.[1] : undefined
      const found = text === undefined ? find(inner) : Number(text) & 0b111
      if (found !== null) return found
    }
    return null
  }
  const status = find(log)
  if (status === null) throw new AgentFault('BlockDeviceEraseError', 'the sanitize log has no status')
  return status
}

/** What the security section of `hdparm -I` says. */
export interface AtaSecurity {
  supported: boolean
  enabled: boolean
  locked: boolean
  frozen: boolean
  enhanced: boolean
}

export function ataSecurity(text: string): AtaSecurity {
  const section = /^Security:\s*$((?:\n[ \t].*)*)/m.exec(text)?.[1] ?? ''
  const says = (word: string) => section.split('\n').some(line => line.replace(/\s+/g, ' ').trim() === word)
  return {
    supported: says('supported'),
    enabled: says('enabled'),
    locked: says('locked'),
    frozen: says('frozen'),
    enhanced: says('supported: enhanced erase'),
  }
}

/**
 * Erases with the enhanced form where offered, and with the plain one where that fails. A password that was set for it
 * does not stay behind.
 * @returns what was done, or null when this is no ATA disk, or one without the security commands
 */
export async function eraseAta(device: string): Promise<string | null> {
  let state: AtaSecurity
  try {
    state = await readSecurity(device)
    // Disks behind SAS adapters may claim what the adapter then does not pass on.
    const { stdout } = await run('smartctl', ['-d', 'ata', device, '-g', 'security', '--json=c'])
    if (/unavailable/i.test(stdout)) return null
  } catch {
    return null // no ATA disk
  }
  if (!state.supported) return null
  if (state.frozen)
    throw new AgentFault('BlockDeviceEraseError', 'the firmware has frozen the security state of the disk')
  if (state.locked) {
    // An erase that was cut short leaves it so; old versions of hdparm took NULL for a word.
    for (const password of ['NULL', '']) await security(device, '--security-unlock', password).catch(() => {})
    state = await readSecurity(device)
    if (state.locked) throw new AgentFault('BlockDeviceEraseError', 'the disk is locked with an unknown password')
  }
  if (!state.enabled) await security(device, '--security-set-pass', 'NULL')
  try {
    return await securityErase(device, state.enhanced)
  } catch (error) {
    await security(device, '--security-disable', 'NULL').catch(() => {})
    throw error
  }
}

async function securityErase(device: string, enhanced: boolean): Promise<string> {
  let refusal = ''
  if (enhanced) {
    try {
      await security(device, '--security-erase-enhanced', 'NULL')
    } catch (error) {
      refusal = messageOf(error)
    }
  }
  if (!enhanced || refusal !== '') await security(device, '--security-erase', 'NULL')
  if ((await readSecurity(device)).enabled)
    throw new AgentFault('BlockDeviceEraseError', 'the disk still has a password after its erase')
  return enhanced && refusal === '' ? 'ATA enhanced secure erase' : 'ATA secure erase'
}

async function security(device: string, command: string, password: string): Promise<void> {
  await run('hdparm', ['--user-master', 'u', command, password, device])
}

async function readSecurity(device: string): Promise<AtaSecurity> {
  return ataSecurity((await run('hdparm', ['-I', device])).stdout)
}
