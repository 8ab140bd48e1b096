/** Keystone, Swift and Glance together, in one place, and the options with which the service uses them. */
import { forGlance, forKeystone, forSwift } from '#lab/host-packages.ts'
import type { Sections } from '#lab/service-process.ts'
import { addToCatalog, type KeystoneAccess, projectId, startKeystone } from '../clients/keystone.ts'
import { GlanceUser, startGlance, tokenOf } from './glance.ts'
import type { Place } from './place.ts'
import { loginOptionsOf, startSwift } from './swift.ts'

export const forOpenstack = [...forKeystone, ...forSwift, ...forGlance] as const

export interface Openstack extends AsyncDisposable {
  readonly swiftUrl: string
  readonly glanceUrl: string
  readonly serviceProject: string
  readonly uploader: GlanceUser
  /** [glance] and [swift]. */
  readonly config: { readonly glance: Record<string, string>; readonly swift: Record<string, string> } & Sections
  /** Sets metadata of the account that holds the images. */
  setAccount(headers: Readonly<Record<string, string>>): Promise<void>
}

const ports = { keystone: 5000, glance: 9292, proxy: 8080, account: 6202, container: 6201, object: 6200 }

/** @param at ports, where those of the services are not free */
export async function startOpenstack(
  place: Place,
  { at = ports, containersSeed = 0 }: { at?: typeof ports; containersSeed?: number } = {},
): Promise<Openstack> {
  await using opened = new AsyncDisposableStack()
  const keystone = opened.use(
    await startKeystone(await place.folder('keystone'), {
      address: place.address,
      port: at.keystone,
      spawn: (...args) => place.spawn(...args),
      reach: url => place.reach(url),
    }),
  )
  const reached: KeystoneAccess = { url: await place.reach(keystone.url), password: keystone.password }
  const [swiftUrl, glanceUrl] = await Promise.all([
    startSwift(place, keystone, at),
    startGlance(place, { keystone, port: at.glance, containersSeed }),
  ])
  const project = await projectId(reached, 'service')
  await addToCatalog(reached, `${swiftUrl}/v1/AUTH_$(project_id)s`, { type: 'object-store', name: 'swift' })
  await addToCatalog(reached, glanceUrl, { type: 'image', name: 'glance' })
  const login = loginOptionsOf(keystone)
  const swiftReached = await place.reach(swiftUrl)
  const held = opened.move()
  return {
    swiftUrl,
    glanceUrl,
    serviceProject: project,
    uploader: await GlanceUser.signIn(reached, await place.reach(glanceUrl)),
    config: { glance: login, swift: login },
    async setAccount(headers) {
      const token = await tokenOf(reached, { user: 'ferrite', project: 'service' })
      const answer = await fetch(`${swiftReached}/v1/AUTH_${project}`, {
        method: 'POST',
        headers: { ...headers, 'x-auth-token': token },
      })
      if (!answer.ok) throw new Error(`Swift refused the account's metadata with ${answer.status}`)
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}
