import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NoRoute } from './faults.ts'
import { negotiate } from './versions.ts'

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

for (const version of ['1.0', '1.116', '2.1', '0.5', '1', 'abc', '1.x', '1.1.1', '-1.5', '']) {
  test(`version "${version}" is refused`, () => {
    const isIt = (error: unknown) => error instanceof NoRoute && error.status === 406
    assert.throws(() => negotiate({ [ironic]: version }), isIt)
    assert.throws(() => negotiate({ [any]: `baremetal ${version}` }), isIt)
  })
}
