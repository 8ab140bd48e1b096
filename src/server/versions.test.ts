import assert from 'node:assert/strict'
import { test } from 'node:test'
import { negotiate, VersionRefused } from './versions.ts'

const ironic = 'x-openstack-ironic-api-version'
const any = 'openstack-api-version'

const accepted: [headers: Record<string, string>, minor: number][] = [
  [{}, 1],
  [{ [ironic]: '1.1' }, 1],
  [{ [ironic]: '1.115' }, 115],
  [{ [ironic]: ' 1.80 ' }, 80],
  [{ [ironic]: 'latest' }, 115],
  [{ [ironic]: 'LATEST' }, 115],
  [{ [any]: 'baremetal 1.50' }, 50],
  [{ [any]: 'compute 2.90, baremetal 1.51, placement 1.2' }, 51],
  [{ [any]: 'baremetal latest' }, 115],
  [{ [any]: 'baremetal 1.50', [ironic]: '1.9' }, 50],
  [{ [any]: 'compute 2.90', [ironic]: '1.9' }, 9],
  [{ [any]: 'compute 2.90' }, 1],
]
for (const [headers, minor] of accepted) {
  test(`${JSON.stringify(headers)} speaks 1.${minor}`, () => assert.equal(negotiate(headers), minor))
}

const refused: [version: string, known: boolean][] = [
  ['1.0', true],
  ['1.116', true],
  ['2.1', true],
  ['0.5', true],
  ['1', false],
  ['abc', false],
  ['1.x', false],
  ['1.1.1', false],
  ['-1.5', false],
  ['', false],
]
for (const [version, known] of refused) {
  test(`version "${version}" is refused, ${known ? 'with' : 'without'} the limits`, () => {
    const isIt = (error: unknown) => error instanceof VersionRefused && error.status === 406 && error.known === known
    assert.throws(() => negotiate({ [ironic]: version }), isIt)
    assert.throws(() => negotiate({ [any]: `baremetal ${version}` }), isIt)
  })
}
