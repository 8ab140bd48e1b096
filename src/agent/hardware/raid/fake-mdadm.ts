/**
 * A program that answers as mdadm does and remembers arrays, for kernels that have no RAID. Members must be block devices
 * that are there, and in no other array. No array of it holds data, but for mirrors with metadata 1.0: data begins where
 * their members do, so the first member stands for the array. For tests.
 *
 * Source: mdadm(8); the forms are those of mdadm 4.2.
 */
import { existsSync } from 'node:fs'
import { Failure, type FakeProgram } from '../../fake-programs.ts'

export interface FakeArray {
  device: string
  name: string
  level: string
  members: string[]
}

export class FakeMdadm {
  /** Those that run. */
  arrays: FakeArray[] = []
  /** By member, whether its array runs or not. */
  superblocks = new Map<string, FakeArray>()
  /** Left out of a new array. */
  forgets: string | null = null
  /** So many times adding a member fails. */
  addFailures = 0
  /** Cannot be stopped. */
  busy: string | null = null

  readonly program: FakeProgram = args => {
    const target = args.at(-1) ?? ''
    if (args[0] === '--create') return this.#create(args)
    if (args[0] === '--add') return this.#add(args[1], target)
    if (args[0] === '--detail' && target === '--scan') return this.arrays.map(scanLine).join('')
    if (args[0] === '--detail') {
      const array = this.arrays.find(({ device }) => device === target)
      if (!array) throw new Failure(`mdadm: cannot open ${target}: No such file or directory`)
      return exported(array) + array.members.map(memberLines).join('')
    }
    if (args[0] === '--examine') {
      const array = this.superblocks.get(target)
      if (!array) throw new Failure(`mdadm: No md superblock detected on ${target}.`)
      return exported(array)
    }
    if (args[0] === '--stop') {
      if (this.busy === target)
        throw new Failure(
          `mdadm: Cannot get exclusive access to ${target}:Perhaps a running process, mounted filesystem or active volume group?`,
        )
      this.arrays = this.arrays.filter(({ device }) => device !== target)
      return
    }
    if (args[0] === '--zero-superblock') {
      const holder = this.arrays.find(({ members }) => members.includes(target))
      if (holder) throw new Failure(`mdadm: Couldn't open ${target} for write - not zeroing`, 2)
      this.superblocks.delete(target)
      return
    }
    throw new Failure(`mdadm: not known to the fake: ${args.join(' ')}`, 2)
  }

  #create(args: string[]): undefined {
    const value = (name: string) => args[args.indexOf(name) + 1] ?? ''
    const device = args[1] ?? ''
    const members = args.slice(args.indexOf('--raid-devices') + 2)
    if (Number(value('--raid-devices')) !== members.length) throw new Failure('mdadm: wrong number of devices')
    if (this.arrays.some(found => found.device === device)) throw new Failure(`mdadm: ${device} is already in use.`)
    for (const member of members) {
      if (!existsSync(member)) throw new Failure(`mdadm: Cannot open ${member}: No such file or directory`)
      if (this.superblocks.has(member)) throw new Failure(`mdadm: ${member} appears to be part of a raid array`)
    }
    const holdsData = args.includes('--metadata=1.0') && value('--level') === '1'
    const name = value('--name')
    const array = { device: (holdsData ? members[0] : null) ?? device, name, level: value('--level'), members }
    for (const member of members) this.superblocks.set(member, array)
    this.arrays.push({ ...array, members: members.filter(member => member !== this.forgets) })
  }

  #add(device: string | undefined, member: string): undefined {
    if (this.addFailures-- > 0) throw new Failure('mdadm: add new device failed')
    this.arrays.find(array => array.device === device)?.members.push(member)
  }
}

const scanLine = ({ device, name }: FakeArray) => `ARRAY ${device} metadata=1.2 name=lab:${name} UUID=0:1:2:3\n`

const exported = ({ name, level, members }: FakeArray) =>
  `MD_LEVEL=raid${level}\nMD_DEVICES=${members.length}\nMD_METADATA=1.2\nMD_UUID=0:1:2:3\nMD_NAME=lab:${name}\n`

function memberLines(member: string, role: number): string {
  const key = `MD_DEVICE_${member.slice(1).replaceAll('/', '_')}`
  return `${key}_ROLE=${role}\n${key}_DEV=${member}\n`
}
