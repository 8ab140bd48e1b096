import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidInput } from '#lib/fault.ts'
import { defaultOptions, kernelParameters, readOptions } from './options.ts'

test('the kernel command line: words without = and unknown ones are skipped, the last wins, no quoting', () => {
  const found = kernelParameters('quiet nofb vga=normal a=1 a=2 b="x y" c=d=e =f\n')
  assert.deepEqual(
    [...found],
    [
      ['vga', 'normal'],
      ['a', '2'],
      ['b', '"x'],
      ['c', 'd=e'],
    ],
  )
})

test('parameters become options in our units', () => {
  const options = readOptions(
    'ipa-api-url=http://a:6385/,https://b ipa-lookup-timeout=10 ipa-image-download-connection-retry-interval=0.5 ' +
      'ipa-insecure=yes ipa-debug=1 BOOTIF=aa:bb:cc:dd:ee:ff ipa-inspection-collectors=default,pci-devices',
  )
  assert.deepEqual(options.apiUrls, ['http://a:6385', 'https://b'])
  assert.equal(options.lookupTimeoutMs, 10_000)
  assert.equal(options.downloadRetryPauseMs, 500)
  assert.equal(options.insecure, true)
  assert.equal(options.debug, true)
  assert.equal(options.bootInterface, 'aa:bb:cc:dd:ee:ff')
  assert.deepEqual(options.inspectionCollectors, ['default', 'pci-devices'])
  assert.deepEqual(readOptions('root=/dev/sda console=ttyS0'), defaultOptions())
})

for (const [word, message] of [
  ['ipa-api-url=ftp://x', /ipa-api-url: found "ftp:\/\/x", expected a comma list of http/],
  ['ipa-debug=perhaps', /ipa-debug: found "perhaps", expected 1, 0/],
  ['ipa-lookup-timeout=soon', /ipa-lookup-timeout: found "soon", expected a number/],
  ['ipa-tls-min-version=1.1', /expected 1.2 or 1.3/],
  ['ipa-tls-certificate-curve=p999', /expected p256, p384 or p521/],
  ['ipa-ntp-server=-x', /expected one host name/],
] satisfies [string, RegExp][]) {
  test(`${word} is an error that says what was expected`, () => {
    assert.throws(
      () => readOptions(word),
      (error: unknown) => error instanceof InvalidInput && message.test(error.message),
    )
  })
}
