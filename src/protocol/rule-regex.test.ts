import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkRuleRegex, compileRuleRegex, longestRuleRegex } from './rule-regex.ts'

const matching: [regex: string, text: string, does: boolean][] = [
  ['^Dell', 'Dell Inc.', true],
  ['(?i)dell', 'DELL', true],
  ['(?P<maker>\\w+) (?P=maker)', 'ab ab', true],
  ['\\Aab\\Z', 'ab', true],
  ['\\Aab\\Z', 'abc', false],
  ['\\\\A', '\\A', true],
  ['(?s)a.b', 'a\nb', true],
]
for (const [regex, text, does] of matching) {
  test(`${regex} ${does ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, () => {
    assert.equal(compileRuleRegex(regex).test(text), does)
  })
}

for (const wrong of ['(', '[a', '*', 'a(?P<x', 'x'.repeat(longestRuleRegex + 1)]) {
  test(`${wrong.slice(0, 20)} is refused`, () => assert.throws(() => checkRuleRegex(wrong), SyntaxError))
}

test('placeholders stand for texts', () => {
  for (const good of ['^{node.name}$', '[0-9]{{2}}', '{inventory[system_vendor][product_name]}.*', 'a{2}'])
    checkRuleRegex(good)
})
