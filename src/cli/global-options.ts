/**
 * Options that every command takes, and what comes of them with the environment and clouds.yaml: where the API is, who
 * calls, how patient the client is. A value typed in counts most, then the named cloud's, then the environment's.
 */
import { readFile } from 'node:fs/promises'
import type { ApiSettings } from './client.ts'
import type { Options } from './command.ts'
import type { Transport } from './http.ts'
import { authPlan, type Text } from './login.ts'
import { UsageError } from './parse.ts'
import type { Reporter } from './report.ts'
import type { Terminal } from './terminal.ts'
import { yesOrNo } from './values.ts'

const secret = { takes: 'text', metavar: 'password' } as const
const id = { takes: 'text', metavar: 'id' } as const
const name = { takes: 'text', metavar: 'name' } as const

/** An option's environment variable is its name in capitals with underscores: --os-auth-url, OS_AUTH_URL. */
export const globalOptions = {
  'os-endpoint': { takes: 'text', metavar: 'url', about: 'the API; default the catalog, or http://127.0.0.1:6385' },
  endpoint: { takes: 'text', metavar: 'url', about: 'the same, shorter' },
  'os-endpoint-override': { takes: 'text', metavar: 'url', about: 'the same' },
  'os-baremetal-api-version': {
    takes: 'text',
    metavar: 'version',
    about: 'microversion such as 1.95; default latest: the newest that both sides know',
  },
  'os-cloud': { ...name, about: 'a cloud of clouds.yaml, which has all that follows' },
  'os-auth-type': {
    takes: 'text',
    metavar: 'type',
    about: 'none, http_basic, password, token, v3applicationcredential; default by what is given',
  },
  'os-username': { ...name, about: 'for http_basic and password' },
  'os-user-id': { ...id, about: 'instead of name and domain' },
  'os-password': { ...secret, about: 'for http_basic and password; better in the environment' },
  'os-token': { takes: 'text', metavar: 'token', about: 'a token; sent as it is without --os-auth-url' },
  'os-auth-url': { takes: 'text', metavar: 'url', about: 'the identity service (Keystone v3)' },
  'os-user-domain-id': { ...id, about: "the user's domain; default default" },
  'os-user-domain-name': { ...name, about: "the user's domain" },
  'os-system-scope': { takes: 'text', metavar: 'all', about: 'act on the whole system' },
  'os-project-id': { ...id, about: 'act in this project' },
  'os-project-name': { ...name, about: 'act in this project' },
  'os-project-domain-id': { ...id, about: "the project's domain; default default" },
  'os-project-domain-name': { ...name, about: "the project's domain" },
  'os-domain-id': { ...id, about: 'act in this domain' },
  'os-domain-name': { ...name, about: 'act in this domain' },
  'os-default-domain-id': { ...id, about: 'for user and project, where theirs is not named' },
  'os-default-domain-name': { ...name, about: 'the same' },
  'os-trust-id': { ...id, about: 'act by this trust' },
  'os-application-credential-id': { ...id, about: 'for v3applicationcredential' },
  'os-application-credential-name': { ...name, about: 'for v3applicationcredential, with the user' },
  'os-application-credential-secret': { ...secret, about: 'for v3applicationcredential' },
  'os-region-name': { ...name, about: 'region of the catalog' },
  'os-interface': { ...name, about: 'public, internal or admin address of the catalog; default public' },
  'os-service-type': { ...name, about: 'of the catalog; default baremetal' },
  'os-service-name': { ...name, about: 'of the catalog' },
  'os-cacert': { takes: 'text', metavar: 'file', about: 'certificates to trust' },
  'os-cert': { takes: 'text', metavar: 'file', about: 'client certificate' },
  'os-key': { takes: 'text', metavar: 'file', about: 'key of the client certificate' },
  insecure: { takes: 'nothing', about: 'accept any certificate (OS_INSECURE)' },
  timeout: { takes: 'number', least: 0, metavar: 'seconds', about: 'how long the API may stay silent; default 120' },
  'max-retries': {
    takes: 'number',
    least: 0,
    about: 'further tries after a conflict or refused connection; default 5',
  },
  'retry-interval': { takes: 'number', least: 0, metavar: 'seconds', about: 'time between tries; default 2' },
  quiet: { takes: 'nothing', short: 'q', about: 'no notices; errors only' },
  verbose: { takes: 'nothing', short: 'v', about: 'show requests' },
  debug: { takes: 'nothing', about: 'show requests, and stack traces of errors' },
  help: { takes: 'nothing', short: 'h', about: 'show help' },
  version: { takes: 'nothing', about: 'show the version' },
} satisfies Options

export type GlobalOption = keyof typeof globalOptions

export type GlobalValues = { readonly [K in GlobalOption]?: string | number | true }

/**
 * How to reach the API, logged in already.
 * @throws UsageError, and what logging in may throw
 */
export async function apiSettings(
  options: GlobalValues,
  terminal: Pick<Terminal, 'env' | 'sleep'>,
  reporter: Pick<Reporter, 'notice'>,
): Promise<ApiSettings> {
  const { env } = terminal
  const typed = (option: GlobalOption) => (options[option] === undefined ? undefined : String(options[option]))
  const fromEnv = (option: GlobalOption) => env[option.replaceAll('-', '_').toUpperCase()] || undefined
  const cloudName = typed('os-cloud') ?? fromEnv('os-cloud')
  const cloud = cloudName === undefined ? undefined : await (await import('./clouds.ts')).cloudOf(cloudName, env)
  const text: Text = option => typed(option) ?? cloud?.[option] ?? fromEnv(option)

  const version = text('os-baremetal-api-version') ?? 'latest'
  if (!/^(latest|1(\.\d+)?)$/.test(version)) {
    throw new UsageError(`Wrong API version "${version}": expected latest or a microversion such as 1.95`)
  }
  const transport: Transport = {
    timeoutMs: Number(options.timeout ?? 120) * 1000,
    tls: {
      insecure: options.insecure === true || isSet(text('insecure') ?? env.OS_INSECURE),
      ca: await contentOf('os-cacert', text),
      cert: await contentOf('os-cert', text),
      key: await contentOf('os-key', text),
    },
    ...((options.debug || options.verbose) && { trace: line => reporter.notice(line) }),
  }
  const endpoint = typed('endpoint') ?? text('os-endpoint') ?? text('os-endpoint-override')
  const plan = authPlan(text, endpoint)
  const session = plan.kind === 'keystone' ? await (await import('./keystone.ts')).logIn(plan, transport) : plan.session
  return {
    ...session,
    ...transport,
    version,
    maxRetries: Number(options['max-retries'] ?? 5),
    retryIntervalMs: Number(options['retry-interval'] ?? 2) * 1000,
    sleep: ms => terminal.sleep(ms),
    notice: line => {
      if (!options.quiet) reporter.notice(line)
    },
  }
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && yesOrNo('OS_INSECURE', value)
}

async function contentOf(option: GlobalOption, text: Text): Promise<string | undefined> {
  const path = text(option)
  if (path === undefined) return undefined
  return await readFile(path, 'utf8').catch((error: Error) => {
    throw new UsageError(`Cannot read the file of --${option}: ${error.message}`)
  })
}
