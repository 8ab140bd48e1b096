import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blankLocales, isNeeded } from './icu-data.ts'

test('English, what all languages share and what character sets of the web need stay', () => {
  const names = ['root', 'en', 'en_US', 'pool', 'res_index', 'supplementalData', 'zoneinfo64', 'units', 'icuver']
  for (const name of names) assert.ok(isNeeded(`icudt78l/${name}.res`), name)
  for (const name of ['curr/root.res', 'zone/en.res', 'zone/tzdbNames.res', 'coll/ucadata.icu', 'brkitr/word.brk']) {
    assert.ok(isNeeded(`icudt78l/${name}`), name)
  }
  for (const name of ['nfkc.nrm', 'uts46.nrm', 'cnvalias.icu', 'ibm-5348_P100-1997.cnv'])
    assert.ok(isNeeded(name), name)
})

test('other languages and old character sets go', () => {
  const names = ['de.res', 'en_GB.res', 'curr/de_AT.res', 'zh_Hant_TW.res', 'coll/ja.res', 'yue.res']
  for (const name of names) assert.ok(!isNeeded(`icudt78l/${name}`), name)
  for (const name of ['translit/root.res', 'brkitr/thaidict.dict', 'euc-jp-2007.cnv', 'rfc3722.spp', 'unames.icu']) {
    assert.ok(!isNeeded(`icudt78b/${name}`), name)
  }
})

test('only the bytes of what goes are overwritten', () => {
  const { program, of } = programWith({
    'x/de.res': 'German',
    'x/en.res': 'English',
    'x/fr.res': 'French',
    'x/zu.res': 'Zulu',
  })
  const before = Buffer.from(program)
  const blanked = blankLocales(program)
  assert.equal(of('icudt78l/en.res'), 'English')
  // Nobody says where the last one ends.
  assert.equal(of('icudt78l/zu.res'), 'Zulu')
  assert.equal(of('icudt78l/de.res'), '\0\0\0\0\0\0')
  assert.equal(of('icudt78l/fr.res'), '\0\0\0\0\0\0')
  assert.equal(blanked, 'German'.length + 'French'.length)
  const changed = before.filter((byte, at) => byte !== program[at]).length
  assert.equal(changed, blanked)
})

test('a program without such data stays as it is', () => {
  // The code that reads the data has the mark, too.
  const program = Buffer.from('nothing but the letters CmnD and CmnD')
  assert.equal(blankLocales(program), 0)
  assert.equal(program.toString(), 'nothing but the letters CmnD and CmnD')
})

/** A program that holds data of these names, `x` standing for the folder that ICU gives them. */
function programWith(items: Record<string, string>) {
  const all = Object.entries(items).map(([name, text]) => ({ name: name.replace(/^x/, 'icudt78l'), text }))
  const header = Buffer.alloc(32)
  header.writeUInt16LE(header.length, 0)
  header.writeUInt16BE(0xda27, 2)
  header.write('CmnD', 12)
  const names = Buffer.from(all.map(({ name }) => `${name}\0`).join(''))
  const table = Buffer.alloc(4 + 8 * all.length)
  table.writeUInt32LE(all.length, 0)
  let [nameAt, textAt] = [table.length, table.length + names.length]
  const places = new Map<string, [start: number, end: number]>()
  const before = Buffer.from('code with CmnD in it')
  for (const [index, { name, text }] of all.entries()) {
    table.writeUInt32LE(nameAt, 4 + 8 * index)
    table.writeUInt32LE(textAt, 8 + 8 * index)
    const start = before.length + header.length + textAt
    places.set(name, [start, start + text.length])
    nameAt += name.length + 1
    textAt += text.length
  }
  const texts = Buffer.from(all.map(({ text }) => text).join(''))
  const program = Buffer.concat([before, header, table, names, texts, Buffer.from('code behind it')])
  return { program, of: (name: string) => program.toString('latin1', ...(places.get(name) ?? [0, 0])) }
}
