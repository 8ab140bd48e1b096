/** What is accepted in driver_info, and what is said of the rest. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidInput } from '#lib/fault.ts'
import { ipmiContext } from './ipmi-world.ts'
import management from './management.ts'
import power from './power.ts'

const badInfo: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ ipmi_address: undefined }, /ipmi_address is missing/],
  [{ ipmi_address: 'a b' }, /ipmi_address is "a b", expected an IP address or a host name/],
  [{ ipmi_address: '10.0.0.300' }, /ipmi_address is "10.0.0.300"/],
  [{ ipmi_address: ['10.0.0.3'] }, /ipmi_address is a list/],
  [{ ipmi_port: 0 }, /ipmi_port is "0", expected a number from 1 to 65535/],
  [{ ipmi_port: 'x' }, /ipmi_port is "x"/],
  [{ ipmi_terminal_port: 70000 }, /ipmi_terminal_port is "70000"/],
  [{ ipmi_priv_level: 'root' }, /ipmi_priv_level is "root", expected one of CALLBACK, USER, OPERATOR, ADMINISTRATOR/],
  [{ ipmi_protocol_version: '3' }, /ipmi_protocol_version is "3", expected one of 2.0, 1.5/],
  [{ ipmi_cipher_suite: 'x' }, /ipmi_cipher_suite is "x", expected one of 0, 1, 2, 3/],
  [{ ipmi_cipher_suite: 4 }, /ipmi_cipher_suite is "4"/],
  [{ ipmi_cipher_suite: 3, ipmi_protocol_version: '1.5' }, /IPMI 1.5 has no cipher suites/],
  [{ ipmi_hex_kg_key: 'abc' }, /odd number of digits/],
  [{ ipmi_hex_kg_key: 'zz' }, /not in hex/],
  [{ ipmi_hex_kg_key: 'a'.repeat(42) }, /42 digits, expected at most 40/],
  [{ ipmi_bridging: 'triple' }, /ipmi_bridging is "triple", expected one of no, single, dual/],
  [{ ipmi_bridging: 'single' }, /ipmi_target_channel, ipmi_target_address is missing/],
  [
    { ipmi_bridging: 'dual', ipmi_target_channel: 0 },
    /ipmi_target_address, ipmi_transit_channel, ipmi_transit_address/,
  ],
  [{ ipmi_force_boot_device: 'perhaps' }, /ipmi_force_boot_device is "perhaps", expected true or false/],
  [{ ipmi_username: 'seventeen-letters' }, /ipmi_username has 17 bytes, expected at most 16/],
]
test('driver_info is checked, all of it at once, and secrets are not shown', async () => {
  for (const [info, words] of badInfo) {
    await using ctx = await ipmiContext(info)
    await assert.rejects(power.validate(ctx), words)
  }
  await using both = await ipmiContext({ ipmi_password: 'a-password-of-22-bytes', ipmi_port: -1 })
  await assert.rejects(management.validate(both), (error: Error) => {
    assert.ok(error instanceof InvalidInput)
    assert.match(error.message, /ipmi_port is "-1".*ipmi_password has 22 bytes, expected at most 20/)
    assert.equal(error.message.includes('a-password'), false)
    return true
  })
  await using good = await ipmiContext({
    ipmi_address: 'bmc-1.rack.example.org',
    ipmi_port: '0x26f',
    ipmi_cipher_suite: '17',
    ipmi_bridging: 'dual',
    ipmi_target_channel: 7,
    ipmi_target_address: '0x72',
    ipmi_transit_channel: '0',
    ipmi_transit_address: '0x82',
    ipmi_local_address: '0x20',
    ipmi_terminal_port: 10000,
    ipmi_force_boot_device: 'False',
  })
  await power.validate(good)
  await using numbers = await ipmiContext({ ipmi_password: 12345, ipmi_protocol_version: 2 })
  await power.validate(numbers)
})
