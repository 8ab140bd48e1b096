import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSettings } from './settings.ts'

test('settings come from flags, then from the environment', () => {
  const env = { FERRITE_AGENT_STATE_DIR: '/a', FERRITE_AGENT_GUEST: '1', FERRITE_AGENT_ONLY_DEVICES: '/dev/x,/dev/y' }
  const settings = readSettings(['--state-dir', '/b', '--reboot-command', 'echo  now'], env)
  assert.equal(settings.stateDir, '/b')
  assert.equal(settings.ownsMachine, false)
  assert.deepEqual(settings.onlyDevices, ['/dev/x', '/dev/y'])
  assert.deepEqual(settings.rebootCommand, ['echo', 'now'])
  assert.equal(readSettings([], {}).ownsMachine, true)
})
