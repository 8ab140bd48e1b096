/** Database, messaging, metrics and the other OpenStack services that are only named. */
import { boolean, choice, float, host, integer, list, octal, path, port, string, texts, url } from '../kinds.ts'
import { authOptions, inEffect, loginOptions } from './auth.ts'

export const database = {
  connection: string({
    default: 'sqlite:///$state_path/ferrite.sqlite',
    ironic: 'sqlite:////var/lib/ironic/ironic.sqlite',
    secret: true,
    effective: true,
    help:
      'The database: sqlite:///PATH (four slashes for an absolute path) for one process, or ' +
      'postgresql://USER:PASSWORD@HOST/NAME for any number of them, with options of libpq such as ?sslmode=verify-full.',
  }),
  slave_connection: string({ default: null, secret: true, help: 'Database to read from.' }),
  backend: string({ default: 'sqlalchemy', help: "Ironic's database layer." }),
  sqlite_synchronous: boolean({ default: true, help: 'Wait for SQLite to reach the disk.' }),
  sqlite_retries: boolean({ default: true, help: 'Retry when SQLite is locked.' }),
  sqlite_max_wait_for_retry: integer({ default: 10, min: 0, help: 'Seconds of these retries.' }),
  mysql_engine: string({ default: 'InnoDB', help: 'Engine of MySQL tables.' }),
  mysql_sql_mode: string({ default: 'TRADITIONAL', help: 'SQL mode of MySQL.' }),
  mysql_wsrep_sync_wait: integer({ default: null, help: 'Causality check of Galera.' }),
  connection_recycle_time: integer({
    default: 3600,
    effective: true,
    help: 'Seconds a connection to PostgreSQL is used; 0 or less: for ever.',
  }),
  connection_parameters: string({ default: '', help: 'Parameters of connections.' }),
  connection_debug: integer({ default: 0, min: 0, max: 100, help: 'Verbosity of the database layer.' }),
  connection_trace: boolean({ default: false, help: 'Put stack traces into SQL comments.' }),
  max_pool_size: integer({ default: 5, min: 1, effective: true, help: 'Connections to PostgreSQL kept open.' }),
  max_retries: integer({
    default: 10,
    effective: true,
    help: 'Tries to reach PostgreSQL at start; 0 or less: without end.',
  }),
  max_overflow: integer({
    default: 5,
    ironic: '50',
    min: 0,
    effective: true,
    help: 'Connections beyond these, where work waits for one.',
  }),
  pool_timeout: integer({
    default: null,
    min: 1,
    effective: true,
    help: 'Seconds to wait for a connection. Unset: 30.',
  }),
  retry_interval: integer({ default: 10, min: 1, effective: true, help: 'Seconds between two such tries.' }),
  db_retry_interval: integer({
    default: 1,
    min: 0,
    effective: true,
    help: 'Seconds between two tries of a statement that found no connection.',
  }),
  db_max_retry_interval: integer({ default: 10, help: 'Most seconds between tries.' }),
  db_inc_retry_interval: boolean({ default: true, help: 'Wait longer each time.' }),
  db_max_retries: integer({
    default: 5,
    min: 1,
    ironic: '20',
    effective: true,
    help: 'Tries of such a statement, after which its request is answered with 503.',
  }),
  use_db_reconnect: boolean({ default: false, help: 'Reconnect when the connection is lost.' }),
  synchronous_reader: boolean({ default: true, help: 'Readers see all writes.' }),
}

export function jsonRpcOptions() {
  return {
    auth_strategy: choice({
      choices: ['noauth', 'keystone', 'http_basic'],
      default: null,
      help: 'How callers prove who they are. Unset: as the API.',
    }),
    http_basic_auth_user_file: path({ default: '/etc/ironic/htpasswd-json-rpc', help: 'Users and bcrypt hashes.' }),
    host_ip: host({ default: '::', help: 'Address to listen on.' }),
    port: port({ default: 8089, help: 'Port to listen on.' }),
    use_ssl: boolean({ default: false, help: 'Serve over TLS.' }),
    client_use_ssl: boolean({ default: false, help: 'Call over TLS.' }),
    cert_file: path({ default: null, help: 'Certificate.' }),
    key_file: path({ default: null, help: 'Private key.' }),
    tls_minimum_version: choice({ choices: ['1.2', '1.3'], default: '1.3', help: 'Oldest TLS version.' }),
    tls_ciphers: string({ default: null, help: 'TLS 1.2 ciphers.' }),
    allowed_roles: list({ default: ['admin'], help: 'Roles that may call.' }),
    unix_socket: path({ default: null, help: 'Unix socket to listen on.' }),
    unix_socket_mode: octal({ default: null, help: 'Permissions of that socket.' }),
    debug_log_request_id_only: boolean({ default: true, mutable: true, help: 'Log only the ID of requests.' }),
  }
}

export const json_rpc = { ...authOptions(null), ...jsonRpcOptions() }

export const service_catalog = authOptions('baremetal', {
  endpoint_override: url({
    default: null,
    effective: true,
    help: 'URL of the API that ramdisks are given. Unset: see [ferrite] api_url.',
  }),
})

export const keystone_authtoken = {
  ...inEffect(authOptions(null), loginOptions),
  auth_plugin: string({ default: null, deprecated: 'use auth_type', effective: true, help: 'How to authenticate.' }),
  www_authenticate_uri: string({ default: null, effective: true, help: 'Keystone as callers see it.' }),
  auth_uri: string({
    default: null,
    deprecated: 'use www_authenticate_uri',
    effective: true,
    help: 'Keystone as callers see it.',
  }),
  auth_version: string({ default: null, help: "Version of Keystone's API." }),
  interface: string({ default: 'internal', help: 'Interface of the catalog.' }),
  delay_auth_decision: boolean({ default: false, help: 'Let requests without a token through.' }),
  http_connect_timeout: integer({ default: null, effective: true, help: 'Seconds a request may take.' }),
  http_request_max_retries: integer({ default: 3, effective: true, help: 'Tries to connect after the first.' }),
  cache: string({ default: null, help: 'Cache of the web server.' }),
  memcached_servers: list({ default: null, help: 'memcached servers for tokens.' }),
  memcache_security_strategy: string({ default: 'None', help: 'Protection of cached tokens.' }),
  memcache_secret_key: string({ default: null, secret: true, help: 'Key of that protection.' }),
  token_cache_time: integer({
    default: 300,
    effective: true,
    help: 'Seconds for which a validated token is trusted; 0 or less: validate with every request.',
  }),
  include_service_catalog: boolean({ default: true, help: 'Ask for the catalog.' }),
  enforce_token_bind: string({ default: 'permissive', help: 'Check of bound tokens.' }),
  service_token_roles: list({ default: ['service'], effective: true, help: 'Roles of service tokens.' }),
  service_token_roles_required: boolean({ default: false, effective: true, help: 'Require one of these.' }),
  service_type: string({
    default: null,
    effective: true,
    help: 'Type of this service in access rules of application credentials, usually baremetal.',
  }),
}

export const nova = {
  ...authOptions('compute'),
  send_power_notifications: boolean({ default: true, mutable: true, help: 'Tell Nova about power changes.' }),
}

export const cinder = {
  ...authOptions('volumev3'),
  retries: integer({ default: 3, deprecated: 'use connect_retries instead', help: 'Tries of a request.' }),
  action_retries: integer({ default: 3, min: 0, help: 'Tries of an action on a volume.' }),
  action_retry_interval: integer({ default: 5, min: 0, help: 'Seconds between them.' }),
}

const statsd = { host: 'localhost', port: 8125 }
export const metrics = {
  backend: choice({ choices: ['noop', 'statsd', 'collector'], default: 'noop', help: 'Where metrics are sent.' }),
  prepend_host: boolean({ default: false, help: "Begin names with the host's name." }),
  prepend_host_reverse: boolean({ default: true, help: 'With its parts in reverse order.' }),
  global_prefix: string({ default: null, help: 'What all names begin with.' }),
  agent_backend: string({ default: 'noop', help: 'The same for ramdisks.' }),
  agent_prepend_host: boolean({ default: false, help: 'The same for ramdisks.' }),
  agent_prepend_uuid: boolean({ default: false, help: "Begin names with the node's UUID." }),
  agent_prepend_host_reverse: boolean({ default: true, help: 'The same for ramdisks.' }),
  agent_global_prefix: string({ default: null, help: 'The same for ramdisks.' }),
}
export const metrics_statsd = {
  statsd_host: host({ default: statsd.host, help: 'Host of statsd.' }),
  statsd_port: port({ default: statsd.port, help: 'Port of statsd.' }),
  agent_statsd_host: host({ default: statsd.host, help: 'The same for ramdisks.' }),
  agent_statsd_port: port({ default: statsd.port, help: 'The same for ramdisks.' }),
}

export const sensor_data = {
  send_sensor_data: boolean({
    default: false,
    mutable: true,
    effective: true,
    deprecatedNames: ['conductor.send_sensor_data'],
    help: 'Read sensors of BMCs: the latest are told as metrics, changes of their health as events.',
  }),
  interval: integer({
    default: 600,
    min: 1,
    deprecatedNames: ['conductor.send_sensor_data_interval'],
    mutable: true,
    effective: true,
    help: 'Seconds between two reads of a node.',
  }),
  workers: integer({
    default: 4,
    min: 1,
    deprecatedNames: ['conductor.send_sensor_data_workers'],
    mutable: true,
    effective: true,
    help: 'BMCs read at a time.',
  }),
  wait_timeout: integer({
    default: 300,
    deprecatedNames: ['conductor.send_sensor_data_wait_timeout'],
    mutable: true,
    effective: true,
    help: 'Seconds that reading one BMC may take. 0: any.',
  }),
  data_types: list({
    default: ['ALL'],
    deprecatedNames: ['conductor.send_sensor_data_types'],
    mutable: true,
    effective: true,
    help: 'Kinds of sensors to keep: ALL, or some of Temperature, Fan, Power, Drive, System.',
  }),
  enable_for_undeployed_nodes: boolean({
    default: false,
    deprecatedNames: ['conductor.send_sensor_data_for_undeployed_nodes'],
    mutable: true,
    effective: true,
    help: 'Also for nodes that are not active.',
  }),
  enable_for_conductor: boolean({ default: true, help: "Also the conductor's own metrics." }),
  enable_for_nodes: boolean({ default: true, mutable: true, effective: true, help: 'Sensors of nodes.' }),
}

export const exception = {
  fatal_exception_format_errors: boolean({ default: false, help: 'Fail on malformed messages.' }),
}

export const oslo_concurrency = {
  lock_path: path({ default: null, help: 'Directory of lock files.' }),
  disable_process_locking: boolean({ default: false, help: 'Do not lock between processes.' }),
}

export const oslo_messaging_notifications = {
  driver: texts({
    default: [],
    effective: true,
    help: 'Drivers that send notifications: messagingv2, or messaging for the form without an envelope. Others have no effect.',
  }),
  transport_url: string({
    default: null,
    secret: true,
    effective: true,
    help: 'Message bus of notifications: rabbit://USER:PASSWORD@HOST:PORT,…/VHOST. Unset: that of [DEFAULT].',
  }),
  topics: list({ default: ['notifications'], help: 'Topics of notifications.' }),
  retry: integer({ default: -1, help: 'Tries to send one.' }),
  location: path({ default: null, help: 'Directory of files for the Prometheus exporter.' }),
}

export const oslo_messaging_rabbit = {
  amqp_durable_queues: boolean({ default: false, effective: true, help: 'Use durable queues.' }),
  amqp_auto_delete: boolean({ default: false, effective: true, help: 'Delete queues that are not used.' }),
  rabbit_quorum_queue: boolean({ default: false, effective: true, help: 'Use quorum queues.' }),
  rabbit_transient_quorum_queue: boolean({ default: false, help: 'Use quorum queues for replies.' }),
  rabbit_stream_fanout: boolean({ default: false, help: 'Use streams for fan-out.' }),
  rabbit_ha_queues: boolean({ default: false, help: 'Use mirrored queues.' }),
  rabbit_retry_interval: integer({ default: 1, help: 'Seconds between tries.' }),
  rabbit_retry_backoff: integer({ default: 2, help: 'Seconds added each time.' }),
  rabbit_interval_max: integer({ default: 30, help: 'Most seconds between tries.' }),
  rabbit_qos_prefetch_count: integer({ default: 0, help: 'Messages fetched ahead.' }),
  rabbit_transient_queues_ttl: integer({ default: 1800, help: 'Seconds unused queues live.' }),
  heartbeat_timeout_threshold: integer({ default: 60, effective: true, help: 'Seconds without a sign of life.' }),
  heartbeat_rate: integer({ default: 3, help: 'Signs of life in that time.' }),
  heartbeat_in_pthread: boolean({ default: false, help: 'Send them from a thread.' }),
  kombu_reconnect_delay: float({ default: 1.0, help: 'Seconds before a reconnection.' }),
  direct_mandatory_flag: boolean({ default: true, help: 'Fail when nobody takes a reply.' }),
  use_queue_manager: boolean({ default: false, help: 'Use stable queue names.' }),
  ssl: boolean({ default: false, effective: true, help: 'Use TLS.' }),
  ssl_version: string({ default: '', help: 'Version of TLS.' }),
  ssl_ca_file: path({ default: null, effective: true, help: 'CA certificates.' }),
  ssl_cert_file: path({ default: null, effective: true, help: 'Client certificate.' }),
  ssl_key_file: path({ default: null, effective: true, help: 'Private key.' }),
}
