/**
 * The web console under `/ui`: its page for every path that is not a file, its files, and what it asks before somebody
 * has signed in. It stands outside of the API: no version, and open to all, since it tells nothing of the fleet.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Config } from '#config/options.ts'
import type { Log } from '#lib/log.ts'
import { NoRoute } from '../faults.ts'
import { consoleFiles, type ServedFile } from './files.ts'
import { keystoneSignIn, type SignInOffer } from './sign-in.ts'

export const uiPath = '/ui'

export type UiConfig = Pick<Config, 'DEFAULT' | 'keystone_authtoken' | 'ferrite'>

/** Adds the routes. */
export function addUi(app: FastifyInstance, { config, log }: { config: UiConfig; log: Log }): void {
  const files = consoleFiles({ directory: config.ferrite.console_dir, log })
  const offer: SignInOffer = { auth_strategy: config.DEFAULT.auth_strategy }
  const signIn = keystoneSignIn(config)
  const outside = { outside: true } as const

  app.get(`${uiPath}/session`, { config: outside }, async (_request, reply) =>
    reply.headers({ 'content-type': 'application/json', 'cache-control': 'no-store' }).send(JSON.stringify(offer)),
  )
  if (signIn) {
    app.post<{ Body: unknown }>(
      `${uiPath}/session`,
      { config: { ...outside, takesJson: true } },
      async (request, reply) =>
        reply
          .headers({ 'content-type': 'application/json', 'cache-control': 'no-store' })
          .send(JSON.stringify(await signIn(request.body))),
    )
  }
  app.get<{ Params: { name: string } }>(`${uiPath}/assets/:name`, { config: outside }, async (request, reply) => {
    const { name } = request.params
    const found = await files.file(name, request.headers['accept-encoding'] ?? '')
    if (!found) {
      const asked = `Cannot serve ${name.slice(0, 200)} of the web console: no build that is here has it`
      throw new NoRoute(404, `${asked}; expected the page to be loaded anew, since a newer console took its place`)
    }
    return sent(reply, found)
  })
  for (const url of [uiPath, `${uiPath}/*`]) {
    app.get(url, { config: outside }, async (_request, reply) => {
      const page = await files.page()
      if (!page) throw new NoRoute(404, 'This service was installed without its web console')
      return sent(reply, page)
    })
  }
}

function sent(reply: FastifyReply, { headers, body }: ServedFile): FastifyReply {
  return reply.headers(headers).send(body)
}
