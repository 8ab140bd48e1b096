import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NoFilter, type Pair, parseFilter } from './port-filter.ts'

const port: Pair['port'] = {
  kind: 'port',
  address: '52:54:00:00:00:01',
  category: 'storage',
  physical_network: 'fabric_a',
  vendor: null,
}
const network = { name: 'storage-1', tags: ['fast', 'green.blue'] }
const holds = (text: string, pair: Pair = { port, network }) => parseFilter(text)(pair)

test('filters as Ironic documents them', () => {
  const table: [string, boolean][] = [
    ["port.category == 'storage'", true],
    ["port.category != 'storage'", false],
    ["port.category>='storage' && port.category <='storage'", true],
    ["port.category > 'a' && port.category < 'z'", true],
    ["port.category < 'a'", false],
    ["port.address =~ '52:54'", true],
    ["network.name =~ 'storage'", true],
    ["network.name == ''", false],
    ["network.tags == 'fast'", true],
    ["network.tags == 'fas'", false],
    ["network.tags =~ 'green'", true],
    ["network.tags != 'slow'", true],
    ['port.is_port', true],
    ['port.is_portgroup', false],
    ['( port.is_portgroup || (port.is_port) )', true],
    // && binds stronger
    ["port.is_port || port.is_port && port.category == 'x'", true],
    ["(port.is_port || port.is_port) && port.category == 'x'", false],
    // what is not there
    ["port.vendor == 'acme'", false],
    ["port.vendor != 'acme'", true],
    ["port.vendor =~ ''", false],
    ["port.vendor < 'z'", false],
  ]
  for (const [text, expected] of table) assert.equal(holds(text), expected, text)
})

test('a network that may be any fits whatever is asked of networks', () => {
  const pair = { port, network: null }
  assert.equal(holds("network.name == 'x' && network.tags == 'y'", pair), true)
  assert.equal(holds("network.name == 'x' && port.category == 'y'", pair), false)
})

test('what is no filter is told with the place', () => {
  const table: [string, RegExp][] = [
    ['', /found the end at character 1, expected one of network\.name, network\.tags, port\.address/],
    ["port.vedor == 'x'", /found "port\.vedor" at character 1, expected one of .*port\.vendor/],
    ["port.vendor = 'x'", /found "= 'x'" at character 13/],
    ['port.vendor == acme', /found "acme" at character 16/],
    ['port.vendor == "acme"', /at character 16/],
    ["port.vendor == 'a b'", /at character 16/],
    [
      "port.vendor == 'a' port.is_port",
      /found "port\.is_port" at character 20, expected && or|expected &&, \|\| or the end/,
    ],
    ["(port.vendor == 'a'", /found the end at character 20, expected \)/],
    ["port.vendor == 'a')", /found "\)" at character 19, expected &&/],
    ["network.tags > 'a'", /found ">" at character 14, expected one of == != =~/],
    ['port.is_port &&', /found the end/],
    ['port.vendor ==', /found the end at character 15, expected a text in single quotes/],
    [`${'('.repeat(60)}port.is_port${')'.repeat(60)}`, /at most 50 parentheses/],
    ["port.is_port() == 'x'", /found "\(" at character 13/],
  ]
  for (const [text, message] of table) {
    assert.throws(
      () => parseFilter(text),
      (error: Error) => {
        assert.ok(error instanceof NoFilter, text)
        assert.match(error.message, message, text)
        return true
      },
    )
  }
})
