/** [api] and what stands in front of it: CORS, health check, policy, audit. */
import { boolean, choice, host, integer, list, octal, path, port, string, url } from '../kinds.ts'

const vendorRaw = ['vendor.send_raw']

export const api = {
  host_ip: host({ default: '0.0.0.0', effective: true, help: 'Address the API listens on.' }),
  port: port({ default: 6385, effective: true, help: 'Port the API listens on.' }),
  unix_socket: path({ default: null, effective: true, help: 'Unix socket the API listens on instead.' }),
  unix_socket_mode: octal({
    default: null,
    effective: true,
    help: 'Permissions of that socket. Unset: those of new files.',
  }),
  public_endpoint: url({
    default: null,
    mutable: true,
    effective: true,
    help: 'URL of the API as callers see it, for links in answers. Unset: taken from the request.',
  }),
  max_limit: integer({
    default: 1000,
    min: 1,
    mutable: true,
    effective: true,
    help: 'Most entries in one page of a list.',
  }),
  api_workers: integer({ default: null, min: 1, help: "Processes of Ironic's API." }),
  enable_ssl_api: boolean({ default: false, effective: true, help: 'Serve the API over TLS.' }),
  cert_file: path({
    default: null,
    effective: true,
    help: "The API's certificate in PEM, followed by its chain. It is read again when it changes, together with key_file.",
    deprecatedNames: ['ssl.cert_file'],
  }),
  key_file: path({
    default: null,
    effective: true,
    help: 'The private key of cert_file in PEM, without a passphrase.',
    deprecatedNames: ['ssl.key_file'],
  }),
  tls_minimum_version: choice({
    choices: ['1.2', '1.3'],
    default: '1.3',
    effective: true,
    help: 'Oldest TLS version the API accepts.',
  }),
  tls_ciphers: string({
    default: null,
    effective: true,
    help: 'TLS 1.2 ciphers the API accepts, in the notation of OpenSSL.',
  }),
  enable_ramdisk_endpoints: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Answer lookup and heartbeat of ramdisks here.',
  }),
  restrict_lookup: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Answer a lookup only while the node is in a state that waits for its ramdisk.',
  }),
  ramdisk_heartbeat_timeout: integer({
    default: 300,
    min: 1,
    mutable: true,
    effective: true,
    help: 'Seconds within which a ramdisk must be heard; it is told to report well before.',
  }),
  network_data_schema: path({
    default: null,
    ironic: 'the packaged schema',
    help: 'JSON schema of network_data. Unset: built in.',
  }),
  project_admin_can_manage_own_nodes: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: "Administrators of a project may create and delete the project's own nodes.",
  }),
  disallowed_enrollment_boot_modes: list({
    default: [],
    choices: ['bios', 'uefi'],
    mutable: true,
    effective: true,
    help: 'Boot modes that new nodes may not ask for.',
  }),
  max_json_body_depth: integer({
    default: 25,
    min: 8,
    mutable: true,
    effective: true,
    help: 'Deepest nesting in a request body.',
  }),
  max_json_body_size: integer({
    default: 1024,
    min: 4,
    mutable: true,
    effective: true,
    help: 'Largest request body in KiB.',
  }),
  max_json_body_size_provision: integer({
    default: 65536,
    min: 4,
    mutable: true,
    effective: true,
    help: 'Largest body in KiB of a provision request, which may carry a config drive.',
  }),
  max_json_body_size_inspection: integer({
    default: 16384,
    min: 4,
    mutable: true,
    effective: true,
    help: 'Largest body in KiB of inspection data.',
  }),
  middleware: list({ default: [], help: "Python middleware of Ironic's API." }),
  disallow_deploy_steps: list({
    default: vendorRaw,
    mutable: true,
    effective: true,
    help: 'interface.step names that a deployment may not ask for.',
  }),
  disallow_service_steps: list({
    default: vendorRaw,
    mutable: true,
    effective: true,
    help: 'interface.step names that a servicing may not ask for.',
  }),
  disallow_clean_steps: list({
    default: vendorRaw,
    mutable: true,
    effective: true,
    help: 'interface.step names that a manual cleaning may not ask for.',
  }),
  response_validation: choice({
    choices: ['error', 'warn', 'ignore'],
    default: 'warn',
    help: 'What happens when an answer does not fit its schema.',
  }),
}

export const healthcheck = {
  enabled: boolean({ default: false, effective: true, help: 'Answer the health check.' }),
  path: string({ default: '/healthcheck', effective: true, help: 'Path of the health check.' }),
  detailed: boolean({ default: false, effective: true, help: 'Name the checks in an answer in JSON.' }),
  backends: list({ default: [], help: 'Checks to make; the one there is follows disable_by_file_path.' }),
  disable_by_file_path: path({
    default: null,
    effective: true,
    help: 'Report unhealthy while this file exists.',
  }),
}

export const cors = {
  allowed_origin: list({
    default: null,
    effective: true,
    help: 'Origins whose pages may call the API, such as https://dashboard.example.org. * means any.',
  }),
  allow_credentials: boolean({ default: true, effective: true, help: 'Such pages may send credentials.' }),
  expose_headers: list({
    default: [
      'X-OpenStack-Ironic-API-Maximum-Version',
      'X-OpenStack-Ironic-API-Minimum-Version',
      'X-OpenStack-Ironic-API-Version',
    ],
    effective: true,
    help: 'Headers of answers that pages may read.',
  }),
  max_age: integer({
    default: 3600,
    min: 0,
    effective: true,
    help: 'Seconds a browser may remember the answer to its question.',
  }),
  allow_methods: list({
    default: ['GET', 'PUT', 'POST', 'DELETE', 'PATCH'],
    effective: true,
    help: 'Methods that pages may use.',
  }),
  allow_headers: list({
    default: [],
    effective: true,
    help: 'Headers that pages may send, beside those that every call needs.',
  }),
}

export const audit = {
  enabled: boolean({ default: false, help: 'Emit audit notifications.' }),
  audit_map_file: path({ default: '/etc/ironic/api_audit_map.conf', help: 'Map of requests to audit events.' }),
  ignore_req_list: string({ default: '', help: 'Methods that are not audited, separated by commas.' }),
}

export const oslo_policy = {
  enforce_scope: boolean({ default: true, effective: true, help: 'Let tokens pass only for what their scope is for.' }),
  enforce_new_defaults: boolean({
    default: true,
    effective: true,
    help: 'Present default policies alone; false: administrators of any project do everything besides, as before Ironic 17.',
  }),
  policy_file: path({
    default: 'policy.yaml',
    effective: true,
    help: 'File with rules that take the place of defaults, YAML or JSON; read again when it changes. A bare name is looked for beside the configuration files.',
  }),
  policy_default_rule: string({ default: 'default', help: 'Rule for what no policy names.' }),
  policy_dirs: list({
    default: ['policy.d'],
    effective: true,
    help: 'Directories with such files, which count after it in the order of their names.',
  }),
}

export const oslo_middleware = {
  enable_proxy_headers_parsing: boolean({
    default: false,
    effective: true,
    help: 'Trust the X-Forwarded headers of a proxy.',
  }),
  max_request_body_size: integer({ default: 114688, min: 0, help: "Largest body Ironic's middleware lets through." }),
}

export const ssl = {
  ca_file: path({
    default: null,
    effective: true,
    help: 'CA certificates in PEM. Where they are set, only clients with a certificate of theirs may connect to the API.',
  }),
}
