/** The API's own description; see ../openapi.ts. Everybody may read it: it tells nothing of what is stored. */
import { Type } from 'typebox'
import { InvalidInput } from '#lib/fault.ts'
import { type Minor, maximum } from '#protocol/microversion.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { openapiDocument } from '../openapi/openapi.ts'
import { text } from '../parameters.ts'
import { negotiate } from '../versions.ts'

/** Documents kept; each is some hundred kilobytes, and hardly anybody asks for more than two versions. */
const mostKept = 4

/** @param endpoints all endpoints, this one too */
export function openapi(endpoints: () => readonly Endpoint[]): readonly Endpoint[] {
  const kept = new Map<string, string>()

  function document({ config }: Pick<Call, 'config'>, version: Minor): string {
    const { auth_strategy } = config.DEFAULT
    const key = `${version} ${auth_strategy}`
    const found = kept.get(key)
    if (found !== undefined) return found
    const made = JSON.stringify(openapiDocument(endpoints(), version, auth_strategy))
    const [oldest] = kept.keys()
    if (kept.size >= mostKept && oldest !== undefined) kept.delete(oldest)
    kept.set(key, made)
    return made
  }

  return [
    endpoint({
      id: 'openapi.get',
      method: 'GET',
      path: '/openapi.json',
      from: '1.1',
      status: 200,
      policy: 'public',
      doc: 'This document, for the newest microversion or the one that is named.',
      query: { microversion: text({ doc: '1.N or latest; default: the newest' }) },
      response: Type.Object({
        openapi: Type.Literal('3.1.0'),
        info: Type.Object({ title: Type.String(), version: Type.String() }),
        paths: Type.Record(Type.String(), Type.Unknown()),
        components: Type.Record(Type.String(), Type.Unknown()),
      }),
      handle: call => ({ json: document(call, asked(call.query.microversion)) }),
    }),
  ]
}

/** @throws InvalidInput */
function asked(microversion: string | undefined): Minor {
  if (microversion === undefined) return maximum
  try {
    return negotiate({ 'x-openstack-ironic-api-version': microversion })
  } catch {
    const found = JSON.stringify(microversion.slice(0, 80))
    throw new InvalidInput(`Cannot describe microversion ${found}: expected 1.N, to 1.${maximum}, or latest`)
  }
}
