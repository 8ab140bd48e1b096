/** Which version of the API a request speaks. Source: REST API reference, "Version negotiation". */
import type { IncomingHttpHeaders } from 'node:http'
import { type Minor, maximum, minimum, versionText } from '#protocol/microversion.ts'
import { NoRoute } from './faults.ts'

/**
 * The version of a request: of `OpenStack-API-Version: baremetal 1.N`, else of `X-OpenStack-Ironic-API-Version`,
 * else 1.1.
 * @throws NoRoute
 */
export function negotiate(headers: IncomingHttpHeaders): Minor {
  const asked = ofService(headers['openstack-api-version']) ?? text(headers['x-openstack-ironic-api-version'])
  if (asked === undefined) return minimum
  const version = asked.trim().toLowerCase()
  if (version === 'latest') return maximum
  const match = /^(\d{1,9})\.(\d{1,9})$/.exec(version)
  if (!match) {
    const found = JSON.stringify(asked.slice(0, 80))
    throw new NoRoute(406, `Cannot read the API version: found ${found}, expected 1.N or latest`)
  }
  const minor = Number(match[2])
  if (match[1] !== '1' || minor < minimum || minor > maximum) {
    const range = `${versionText(minimum)} to ${versionText(maximum)}`
    throw new NoRoute(406, `Version ${version} is not supported by this API, expected ${range}`)
  }
  return minor
}

/** The entry for our service in a list such as `compute 2.1, baremetal 1.80`. */
function ofService(header: string | string[] | undefined): string | undefined {
  for (const entry of text(header)?.split(',') ?? []) {
    const [service, version = ''] = entry.trim().split(/\s+/, 2)
    if (service?.toLowerCase() === 'baremetal') return version
  }
  return undefined
}

function text(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(',') : header
}
