/**
 * How who uses the web console proves who they are. The page asks which strategy is in force; with Keystone it sends a
 * name and a password here, and they go to the Keystone that this service trusts: a browser speaks to nobody but this
 * service. What comes back is the caller's own token; nothing is kept here.
 *
 * Source: Identity API v3, "Password authentication with scoped authorization"
 */
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Config } from '#config/options.ts'
import { Fault, InvalidInput, messageOf } from '#lib/fault.ts'
import { agentOf, askJson } from '#lib/openstack/keystone.ts'
import { keystoneSettings } from '../auth/keystone-settings.ts'
import { readToken } from '../auth/token.ts'

const text = Type.String({ minLength: 1, maxLength: 512 })
const Credentials = Type.Object(
  {
    username: text,
    password: text,
    user_domain_name: Type.Optional(text),
    /** Without it the token is for the whole system. */
    project_name: Type.Optional(text),
    project_domain_name: Type.Optional(text),
  },
  { additionalProperties: false },
)
const credentials = Compile(Credentials)

/** What the page learns of the service before anybody has signed in. */
export interface SignInOffer {
  readonly auth_strategy: Config['DEFAULT']['auth_strategy']
}

export interface SignedIn {
  readonly token: string
  readonly expires_at: string
  readonly user: string | null
  /** Null: the whole system. */
  readonly project: string | null
  readonly roles: readonly string[]
}

class SignInRefused extends Fault {
  readonly status = 401
  readonly code = 'sign-in-refused'
}

class SignInUnavailable extends Fault {
  readonly status = 503
  readonly code = 'sign-in-unavailable'
}

export type SignInConfig = Pick<Config, 'DEFAULT' | 'keystone_authtoken'>

/** Signs callers in at Keystone; undefined where another strategy is in force. */
export function keystoneSignIn(config: SignInConfig): ((body: unknown) => Promise<SignedIn>) | undefined {
  if (config.DEFAULT.auth_strategy !== 'keystone') return undefined
  const settings = keystoneSettings(config.keystone_authtoken)
  return async body => {
    if (!credentials.Check(body)) {
      throw new InvalidInput('Cannot sign in: expected username and password, and for a project project_name')
    }
    const dispatcher = agentOf(settings)
    try {
      const answer = await askJson(`${settings.url}/auth/tokens`, {
        method: 'POST',
        dispatcher,
        timeoutMs: settings.timeoutMs,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ auth: request(body) }),
      })
      const token = answer.headers['x-subject-token']
      const described = answer.status === 201 ? readToken(answer.body) : undefined
      if (typeof token === 'string' && described) {
        const { userName, projectName, roles } = described.identity
        const expires_at = new Date(described.expiresAtMs).toISOString()
        return { token, expires_at, user: userName, project: projectName, roles }
      }
      if (answer.status < 500) {
        throw new SignInRefused(
          `Cannot sign in as ${body.username}: Keystone answers ${answer.status}; check name, password, domain and project`,
        )
      }
      throw new SignInUnavailable(`Cannot sign in: Keystone answers ${answer.status}; try again later`)
    } catch (error) {
      if (error instanceof Fault) throw error
      throw new SignInUnavailable(`Cannot sign in: Keystone does not answer: ${messageOf(error)}`, { cause: error })
    } finally {
      void dispatcher.close()
    }
  }
}

function request({
  username,
  password,
  user_domain_name = 'Default',
  project_name,
  project_domain_name = 'Default',
}: Static<typeof Credentials>) {
  const user = { name: username, password, domain: { name: user_domain_name } }
  const scope =
    project_name === undefined
      ? { system: { all: true } }
      : { project: { name: project_name, domain: { name: project_domain_name } } }
  return { identity: { methods: ['password'], password: { user } }, scope }
}
