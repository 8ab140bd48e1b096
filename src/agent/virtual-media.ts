/**
 * What a BMC hands to the ramdisk on virtual media: more kernel parameters, and configuration files. Only drives that can
 * be virtual media are looked at, never a disk of the machine, and nothing stays mounted.
 *
 * Source: openstack/ironic-python-agent `utils.py` (labels, which devices count, paths).
 */
import { cp, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from './errors.ts'
import { isVirtualMedia } from './hardware/device-use.ts'
import { withMount } from './hardware/mounts.ts'
import { probe } from './hardware/probe.ts'
import { settle } from './hardware/sys-files.ts'
import type { Settings } from './settings.ts'

const parameterLabel = 'ir-vfd-dev'
const configLabels = ['config-2', 'vmedia_boot_iso']
const largestUsbBytes = 4 * 1024 ** 3
/** Between looks: USB drives of a BMC take their time to appear. */
const pauseMs = 1_000

/** Folders of the medium whose files belong to /etc. */
const folders = ['ironic-python-agent', 'ironic-python-agent.d']

/**
 * Copies configuration files to /etc.
 * @param needsParameters nothing else says where the API is, so that they are waited for
 * @returns further kernel parameters, one to a line; empty where the media have none, or where there are no media: these
 * may have been taken out since the boot
 * @throws AgentFault VirtualMediaBootError when a medium is there and cannot be read
 */
export async function readVirtualMedia(settings: Settings, needsParameters: boolean): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const drives = await findDrives(settings)
    const parameters = drives.find(({ label }) => label === parameterLabel) ?? drives.find(one => one.isByModel)
    const config = drives.find(({ label }) => configLabels.includes(label))
    const isEnough = parameters !== undefined || (config !== undefined && !needsParameters)
    if (isEnough || attempt >= settings.virtualMediaAttempts) {
      if (config !== undefined) await reading(config, path => copyConfiguration(path, settings.etcDir))
      if (parameters === undefined) return ''
      const found = reading(parameters, path => readFile(join(path, 'parameters.txt'), 'utf8').catch(() => ''))
      // What is only called virtual media may be meant for something else.
      return await (parameters.label === parameterLabel ? found : found.catch(() => ''))
    }
    await sleep(pauseMs)
  }
}

interface Drive {
  device: string
  /** In lower case. */
  label: string
  /** Called virtual media by its model. */
  isByModel: boolean
}

const LsblkAnswer = Type.Object({
  blockdevices: Type.Array(
    Type.Object({
      kname: Type.String(),
      tran: Type.Union([Type.String(), Type.Null()]),
      type: Type.String(),
      size: Type.Union([Type.Integer(), Type.Null()]),
    }),
  ),
})

/** Optical drives and small USB disks as a whole; a partition with such a label is somebody's disk. */
async function findDrives({ onlyDevices }: Settings): Promise<Drive[]> {
  await settle()
  const { stdout } = await run('lsblk', ['--nodeps', '--bytes', '--json', '--output', 'KNAME,TRAN,TYPE,SIZE'])
  const answer: unknown = JSON.parse(stdout)
  if (!Value.Check(LsblkAnswer, answer))
    throw new AgentFault('VirtualMediaBootError', 'Cannot read the answer of lsblk')
  const candidates = answer.blockdevices.filter(({ kname, tran, type, size }) => {
    if ((size ?? 0) === 0) return false
    if (onlyDevices.length > 0) return onlyDevices.includes(`/dev/${kname}`)
    return type === 'rom' || (type === 'disk' && tran === 'usb' && Number(size) < largestUsbBytes)
  })
  return await Promise.all(
    candidates.map(async ({ kname }) => {
      const device = `/dev/${kname}`
      const { label } = await probe(device)
      return { device, label: label?.toLowerCase() ?? '', isByModel: await isVirtualMedia(device) }
    }),
  )
}

async function reading<T>({ device, label }: Drive, read: (path: string) => Promise<T>): Promise<T> {
  try {
    return await withMount(device, [], read)
  } catch (error) {
    throw new AgentFault(
      'VirtualMediaBootError',
      `Cannot read the virtual medium ${device} (${label || 'no label'}): ${messageOf(error)}`,
      { cause: error },
    )
  }
}

async function copyConfiguration(path: string, etcDir: string): Promise<void> {
  for (const folder of folders) {
    const from = join(path, 'etc', folder)
    const isThere = await stat(from).then(
      found => found.isDirectory(),
      () => false,
    )
    if (isThere) await cp(from, join(etcDir, folder), { recursive: true })
  }
}
