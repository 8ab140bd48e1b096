import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checksumFromFile, checksumReference } from './checksum.ts'

const md5 = 'a'.repeat(32)
const sha256 = 'b'.repeat(64)
const sha512 = 'c'.repeat(128)
const rules = { allowMd5: true, allowFiles: true }

describe('instance_info', () => {
  const good: [string, Record<string, unknown>, unknown][] = [
    ['none', {}, null],
    ['empty', { image_checksum: '' }, null],
    ['MD5 by length', { image_checksum: md5.toUpperCase() }, { algo: 'md5', value: md5 }],
    ['SHA-256 by length', { image_checksum: sha256 }, { algo: 'sha256', value: sha256 }],
    ['SHA-512 by length', { image_checksum: ` ${sha512} ` }, { algo: 'sha512', value: sha512 }],
    ['with the algorithm in front', { image_checksum: `sha256:${sha256}` }, { algo: 'sha256', value: sha256 }],
    ['a pair', { image_os_hash_algo: 'SHA512', image_os_hash_value: sha512 }, { algo: 'sha512', value: sha512 }],
    [
      'the pair wins',
      { image_os_hash_algo: 'sha256', image_os_hash_value: sha256, image_checksum: md5 },
      { algo: 'sha256', value: sha256 },
    ],
    ['a file', { image_checksum: 'https://h/SUMS' }, { url: 'https://h/SUMS', algo: null }],
    [
      'a file and the algorithm',
      { image_os_hash_algo: 'sha256', image_os_hash_value: 'http://h/S' },
      { url: 'http://h/S', algo: 'sha256' },
    ],
  ]
  for (const [name, info, expected] of good)
    test(name, () => assert.deepEqual(checksumReference(info, rules), expected))

  const bad: [string, Record<string, unknown>, RegExp][] = [
    ['half a pair', { image_os_hash_algo: 'sha256' }, /has image_os_hash_algo but not image_os_hash_value/],
    ['the other half', { image_os_hash_value: sha256 }, /has image_os_hash_value but not image_os_hash_algo/],
    ['too short', { image_checksum: 'abc' }, /has 3 hex digits; expected 32/],
    ['no hex', { image_checksum: 'hello' }, /is not hexadecimal/],
    [
      'of another length',
      { image_os_hash_algo: 'sha256', image_os_hash_value: md5 },
      /has 32 hex digits; expected 64 hex digits for sha256/,
    ],
    ['unknown algorithm', { image_os_hash_algo: 'crc', image_os_hash_value: md5 }, /is "crc"; expected sha512/],
    ['an inherited name', { image_os_hash_algo: 'constructor', image_os_hash_value: md5 }, /is "constructor"/],
    ['not a text', { image_checksum: 5 }, /is a number; expected a string/],
  ]
  for (const [name, info, expected] of bad)
    test(name, () => assert.throws(() => checksumReference(info, rules), expected))

  test('MD5 and files can be forbidden', () => {
    assert.throws(() => checksumReference({ image_checksum: md5 }, { ...rules, allowMd5: false }), /allow_md5_checksum/)
    assert.throws(
      () => checksumReference({ image_checksum: 'http://h/S' }, { ...rules, allowFiles: false }),
      /disable_support_for_checksum_files/,
    )
  })
})

describe('checksum files', () => {
  const read = (text: string, algo: 'sha256' | 'md5' | null = null, allowMd5 = true) =>
    checksumFromFile(text, { fileName: 'disk.qcow2', algo, allowMd5, shownUrl: 'http://h/SUMS' })
  const good: [string, string][] = [
    ['alone', `${sha256}\n`],
    ['hash, two spaces, name', `${md5}  other\n${sha256}  disk.qcow2\n`],
    ['binary mark', `${sha256} *disk.qcow2`],
    ['with a path', `${sha256}  ./images/disk.qcow2`],
    ['name first', `disk.qcow2  ${sha256}`],
    ['BSD', `SHA256 (other) = ${md5}\nSHA256 (disk.qcow2) = ${sha256}`],
    ['several for one name: the strongest', `MD5 (disk.qcow2) = ${md5}\nSHA256 (disk.qcow2) = ${sha256}`],
    ['comments', `# disk.qcow2: 5 bytes\n# ${md5}  disk.qcow2\n\n${sha256}  disk.qcow2`],
    ['CRLF', `${md5}  a\r\n${sha256}  disk.qcow2\r\n`],
    ['names that contain the name', `${md5}  disk.qcow2.sig\n${md5}  mydisk.qcow2\n${sha256}  disk.qcow2`],
  ]
  for (const [name, text] of good) test(name, () => assert.deepEqual(read(text), { algo: 'sha256', value: sha256 }))
  for (const text of ['', `${sha256}  other`, '<html>no</html>', 'abc', `${sha256}\n${md5}`]) {
    test(`nothing in ${JSON.stringify(text.slice(0, 20))}`, () =>
      assert.throws(() => read(text), /http:\/\/h\/SUMS has no MD5/))
  }
  test('of several for one name, the algorithm that was named', () => {
    const text = `SHA256 (disk.qcow2) = ${sha256}\nMD5 (disk.qcow2) = ${md5}`
    assert.deepEqual(read(text, 'md5'), { algo: 'md5', value: md5 })
    assert.deepEqual(read(text, null, false), { algo: 'sha256', value: sha256 })
  })
  test('another algorithm, or MD5 where it is forbidden', () => {
    assert.throws(() => read(`${md5}  disk.qcow2`, 'sha256'), /has a md5 .*expected the sha256/)
    assert.throws(() => read(md5, null, false), /allow_md5_checksum/)
  })
})
