/** The options with which an OpenStack service is reached, the same in every group that has them. */
import { boolean, float, integer, list, type Option, path, string } from '../kinds.ts'

/** Session, credential and endpoint options of keystoneauth. */
export function authOptions(serviceType: string | null, overrides: { endpoint_override?: Option<string | null> } = {}) {
  return {
    auth_type: string({ default: null, deprecatedNames: [], help: 'How to authenticate: password, none, http_basic.' }),
    auth_section: string({ default: null, help: 'Section to take these options from.' }),
    auth_url: string({ default: null, help: "Keystone's URL." }),
    username: string({ default: null, help: 'User name.' }),
    user_id: string({ default: null, help: 'User ID.' }),
    password: string({ default: null, secret: true, help: 'Password.' }),
    user_domain_name: string({ default: null, help: "Name of the user's domain." }),
    user_domain_id: string({ default: null, help: "ID of the user's domain." }),
    project_name: string({ default: null, help: 'Project name.' }),
    project_id: string({ default: null, help: 'Project ID.' }),
    project_domain_name: string({ default: null, help: "Name of the project's domain." }),
    project_domain_id: string({ default: null, help: "ID of the project's domain." }),
    default_domain_name: string({ default: null, help: 'Name of the domain of user and project.' }),
    default_domain_id: string({ default: null, help: 'ID of the domain of user and project.' }),
    domain_name: string({ default: null, help: 'Name of the domain to be scoped to.' }),
    domain_id: string({ default: null, help: 'ID of the domain to be scoped to.' }),
    system_scope: string({ default: null, help: 'Scope for system operations.' }),
    trust_id: string({ default: null, help: 'Trust to use.' }),
    tenant_name: string({ default: null, deprecated: 'use project_name', help: 'Project name.' }),
    tenant_id: string({ default: null, deprecated: 'use project_id', help: 'Project ID.' }),
    application_credential_id: string({ default: null, help: 'ID of an application credential.' }),
    application_credential_name: string({ default: null, help: 'Name of an application credential.' }),
    application_credential_secret: string({
      default: null,
      secret: true,
      help: 'Secret of an application credential.',
    }),
    cafile: path({ default: null, help: 'CA certificates.' }),
    certfile: path({ default: null, help: 'Client certificate.' }),
    keyfile: path({ default: null, help: 'Private key of the client certificate.' }),
    insecure: boolean({ default: false, help: 'Do not check certificates.' }),
    timeout: integer({ default: null, min: 0, help: 'Seconds a request may take.' }),
    collect_timing: boolean({ default: false, help: 'Collect the times of requests.' }),
    split_loggers: boolean({ default: false, help: 'Log requests under several names.' }),
    service_type: string({ default: serviceType, help: 'Type of the service in the catalog.' }),
    service_name: string({ default: null, help: 'Name of the service in the catalog.' }),
    valid_interfaces: list({
      default: ['internal', 'public'],
      help: 'Interfaces of the catalog, the preferred one first.',
    }),
    region_name: string({ default: null, help: 'Region of the catalog.' }),
    endpoint_override:
      overrides.endpoint_override ?? string({ default: null, help: 'URL of the service, instead of the catalog.' }),
    version: string({ default: null, help: 'Version of the service.' }),
    min_version: string({ default: null, help: 'Least version of the service.' }),
    max_version: string({ default: null, help: 'Greatest version of the service.' }),
    connect_retries: integer({ default: null, min: 0, help: 'Retries when the connection fails.' }),
    connect_retry_delay: float({ default: null, min: 0, help: 'Seconds between them.' }),
    status_code_retries: integer({ default: null, min: 0, help: 'Retries when the service is not ready.' }),
    status_code_retry_delay: float({ default: null, min: 0, help: 'Seconds between them.' }),
    retriable_status_codes: list({ default: null, help: 'HTTP status codes to retry.' }),
  }
}

/** Those with which a service logs in at Keystone and reaches it. */
export const loginOptions = [
  'auth_type',
  'auth_url',
  'username',
  'user_id',
  'password',
  'user_domain_name',
  'user_domain_id',
  'project_name',
  'project_id',
  'project_domain_name',
  'project_domain_id',
  'default_domain_name',
  'default_domain_id',
  'domain_name',
  'domain_id',
  'system_scope',
  'trust_id',
  'tenant_name',
  'tenant_id',
  'application_credential_id',
  'application_credential_name',
  'application_credential_secret',
  'cafile',
  'certfile',
  'keyfile',
  'insecure',
  'timeout',
] as const

/** Those with which a service is found in the catalog, and asked again. */
export const reachOptions = [
  'auth_section',
  'service_type',
  'service_name',
  'valid_interfaces',
  'region_name',
  'endpoint_override',
  'connect_retries',
  'connect_retry_delay',
  'status_code_retries',
  'status_code_retry_delay',
  'retriable_status_codes',
] as const

/** The same options, these of them marked as acted on. */
export function inEffect<O extends Record<string, Option<never> | Option>>(options: O, names: readonly (keyof O)[]): O {
  const marked = names.map(name => [name, { ...options[name], effective: true }])
  return { ...options, ...Object.fromEntries(marked) }
}
