/** When paths to disks are put together, with programs of the test's; interop/deploy/scenarios/multipath.ts has real ones. */
import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, test } from 'node:test'
import { Failure, type FakePrograms, fakePrograms } from '../fake-programs.ts'
import { isMapped, joinPaths, mappedPartitions, pathsTo, withPartitionsOfPath } from './multipath.ts'
import { testContext } from './test-run.ts'

let fakes: FakePrograms
beforeEach(async () => {
  fakes = await fakePrograms()
  for (const name of ['modprobe', 'multipath', 'multipathd', 'udevadm']) fakes.add(name, () => '')
})
afterEach(() => fakes.remove())

const warned: string[] = []
function context({ isGuest = false } = {}) {
  const made = testContext({ devices: [], stateDir: tmpdir() })
  return {
    ...made,
    settings: { ...made.settings, ownsMachine: !isGuest },
    log: { ...made.log, warn: (line: string) => warned.push(line) },
  }
}
const started = () => fakes.calls.filter(call => call.startsWith('multipath'))

test('two disks with one WWN are put together, and watched', async () => {
  assert.equal(await joinPaths(['0x5', null, '0x6', '0x5'], context()), true)
  assert.deepEqual(started(), ['multipath -v1', 'multipathd'])
})

test('disks without a name, with names of their own, and those of somebody else are left as they are', async () => {
  assert.equal(await joinPaths([null, null, '0x5', '0x6'], context()), false)
  assert.equal(await joinPaths(['0x5', '0x5'], context({ isGuest: true })), false)
  assert.deepEqual(fakes.calls, [])
})

test('where they cannot be put together they stay disks, and the log says why', async () => {
  fakes.add('multipath', () => {
    throw new Failure('DM multipath kernel driver not loaded')
  })
  assert.equal(await joinPaths(['0x5', '0x5'], context()), false)
  assert.match(warned.join(), /taken for several: .*driver not loaded/s)
})

test('a daemon that runs already is no failure', async () => {
  fakes.add('multipathd', () => {
    throw new Failure('process is already running')
  })
  assert.equal(await joinPaths(['0x5', '0x5'], context()), true)
})

test('any other disk is its own path and has no mapped partitions', async () => {
  assert.deepEqual([isMapped('/dev/sda'), isMapped('/dev/dm-3')], [false, true])
  assert.deepEqual(await pathsTo('/dev/sda'), ['/dev/sda'])
  assert.deepEqual(await mappedPartitions('/dev/dm-4095'), [])
})

test('the kernel knows the partitions of a path for a while, also when the work fails', async () => {
  for (const name of ['blockdev', 'partx']) fakes.add(name, () => '')
  const work = () => withPartitionsOfPath('/dev/sda', () => Promise.reject(new Error('no boot entry')))
  await assert.rejects(work, /no boot entry/)
  const seen = fakes.calls.filter(call => call.includes('/dev/sda'))
  assert.deepEqual(seen, ['blockdev --flushbufs /dev/sda', 'partx --update /dev/sda', 'partx --delete /dev/sda'])
})
