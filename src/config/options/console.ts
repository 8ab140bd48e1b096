/** Consoles: [console] and [vnc]. */
import { boolean, choice, host, integer, list, path, port, string } from '../kinds.ts'

export const console = {
  terminal_pid_dir: path({ default: null, help: 'Directory of PID files. Unset: tempdir.' }),
  terminal_timeout: integer({
    default: 600,
    min: 0,
    effective: true,
    help: 'Seconds after which an unused console is closed. 0: never.',
  }),
  subprocess_checking_interval: integer({
    default: 1,
    min: 1,
    help: 'Seconds between two looks whether a console has started.',
  }),
  subprocess_timeout: integer({ default: 10, min: 1, help: 'Seconds it may take to start.' }),
  kill_timeout: integer({ default: 1, min: 0, help: 'Seconds it gets to end.' }),
  socat_address: string({ default: '$my_ip', effective: true, help: 'Address consoles listen on.' }),
  port_range: list({ default: null, effective: true, help: 'Ports of consoles, FIRST:LAST. Unset: any.' }),
}

export const vnc = {
  enabled: boolean({ default: false, help: 'Offer graphical consoles.' }),
  host_ip: host({ default: '0.0.0.0', help: 'Address their proxy listens on.' }),
  port: port({ default: 6090, help: 'Port of the proxy.' }),
  public_url: string({ default: null, mutable: true, help: 'URL of the proxy as users see it.' }),
  enable_ssl: boolean({ default: false, help: 'Serve it over TLS.' }),
  novnc_web: path({ default: '/usr/share/novnc', help: 'Directory of noVNC.' }),
  novnc_record: path({ default: null, help: 'File sessions are recorded to.' }),
  novnc_auth_schemes: list({ default: ['none'], choices: ['none'], help: 'VNC authentication schemes.' }),
  read_only: boolean({ default: false, help: 'Consoles only show.' }),
  token_timeout: integer({ default: 600, min: 10, help: 'Seconds a console URL is valid.' }),
  expire_console_session_interval: integer({
    default: 120,
    min: 1,
    help: 'Seconds between two looks for expired ones.',
  }),
  container_provider: string({ default: 'fake', help: 'What runs console containers.' }),
  console_image: string({ default: null, mutable: true, help: 'Image of console containers.' }),
  systemd_container_template: path({
    default: null,
    ironic: 'the packaged template',
    mutable: true,
    help: 'Template of their systemd unit.',
  }),
  systemd_container_publish_port: string({ default: '$my_ip::5900', help: 'Port they publish.' }),
  kubernetes_container_template: path({
    default: null,
    ironic: 'the packaged template',
    mutable: true,
    help: 'Template of their Kubernetes resources.',
  }),
  kubernetes_pod_timeout: integer({ default: 120, min: 1, help: 'Seconds a pod may take to start.' }),
  container_executable: path({ default: 'docker', help: 'Program that runs containers.' }),
  container_host: string({ default: null, help: 'Host that runs containers.' }),
  container_publish_port: string({ default: '$my_ip::5900', help: 'Port they publish.' }),
  container_command_template: path({
    default: null,
    ironic: 'the packaged template',
    mutable: true,
    help: 'Template of their command line.',
  }),
  cert_file: path({ default: null, deprecatedNames: ['vnc.ssl_cert_file'], help: 'Certificate of the proxy.' }),
  key_file: path({ default: null, deprecatedNames: ['vnc.ssl_key_file'], help: 'Private key of the proxy.' }),
  tls_minimum_version: choice({
    choices: ['1.2', '1.3'],
    default: '1.2',
    deprecatedNames: ['vnc.ssl_minimum_version'],
    help: 'Oldest TLS version of the proxy.',
  }),
  tls_ciphers: string({ default: null, deprecatedNames: ['vnc.ssl_ciphers'], help: 'TLS 1.2 ciphers of the proxy.' }),
  wait_for_ready_timeout: integer({ default: 10, min: 0, help: 'Seconds a console may take to be ready.' }),
}
