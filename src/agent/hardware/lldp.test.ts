import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { needsRoot } from '../loop-disk.ts'
import { readTlvs } from './lldp.ts'

// To the address of LLDP, from a switch: chassis id (MAC), port id, time to live, system name, end; as a switch sends it, to the address of LLDP.
const fixed =
  '0180c200000e' +
  '001122334455' +
  '88cc' +
  '0207' +
  '04' +
  '001122334455' +
  '0406' +
  '05' +
  '657468302f' +
  '0602' +
  '0078' +
  '0a03' +
  '737731' +
  '0000'

test('a frame is taken apart into types and values', () => {
  assert.deepEqual(readTlvs(Buffer.from(fixed, 'hex')), [
    [1, '04001122334455'],
    [2, '05657468302f'],
    [3, '0078'],
    [5, '737731'],
    [0, ''],
  ])
})

test('what is cut short ends the list, whatever it is', () => {
  const whole = Buffer.from(fixed, 'hex')
  for (let length = 0; length < whole.length; length++) {
    const found = readTlvs(whole.subarray(0, length))
    assert.ok(found.length < 5 && found.every(([, value]) => value.length % 2 === 0))
  }
  assert.deepEqual(readTlvs(Buffer.concat([Buffer.alloc(14), Buffer.from('ffff00', 'hex')])), [])
})

/** /sys shows the cards of the namespace that it was mounted in. */
const inNamespace = ['--net', '--mount', 'sh', '-c', 'mount -t sysfs sysfs /sys && exec "$@"', 'sh']

function probe(frame: string, timeoutMs: number): { heard: Record<string, unknown[]>; tookMs: number } {
  const file = fileURLToPath(new URL('lldp-probe.ts', import.meta.url))
  const node = [process.execPath, '--experimental-ffi', '--disable-warning=ExperimentalWarning', file]
  const { status, stdout, stderr } = spawnSync('unshare', [...inNamespace, ...node, frame, String(timeoutMs)], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout)
}

test('real cards: a frame of each with a link ends the listening', { skip: needsRoot }, () => {
  const { heard, tookMs } = probe(`${fixed}ff`, 30_000)
  assert.deepEqual(heard.host0, readTlvs(Buffer.from(fixed, 'hex')))
  assert.deepEqual(heard.host1, heard.host0)
  assert.deepEqual(heard.host2, [])
  assert.ok(tookMs < 20_000, `${tookMs} ms`)
})

test('real cards: silence and what is not LLDP are an empty list when the time is over', { skip: needsRoot }, () => {
  const { heard } = probe(fixed, 1_500)
  assert.equal(heard.host0?.length, 5)
  assert.deepEqual(heard.host1, [])
  assert.deepEqual(probe(fixed.replace('88cc', '0806'), 600).heard.host0, [])
})
