/** What options say together: rules over several of them. Each answers a sentence in the form of the loader's problems. */
import type { Config } from './options.ts'

export function crossChecks(config: Config): string[] {
  const problems: string[] = []
  const { api, conductor, deploy, ferrite, glance } = config
  if (api.enable_ssl_api && (api.cert_file === null || api.key_file === null)) {
    const missing = api.cert_file === null ? 'cert_file' : 'key_file'
    problems.push(`[api] enable_ssl_api: found true without ${missing}, expected both cert_file and key_file`)
  }
  if (ferrite.manage_dnsmasq) {
    if (ferrite.dhcp_interface === null)
      problems.push('[ferrite] manage_dnsmasq: found true without dhcp_interface, expected the interface to serve')
    if (ferrite.dhcp_range === null)
      problems.push('[ferrite] manage_dnsmasq: found true without dhcp_range, expected the addresses to hand out')
  }
  if (
    deploy.image_server_auth_strategy === 'http_basic' &&
    (!deploy.image_server_user || !deploy.image_server_password)
  ) {
    problems.push(
      '[deploy] image_server_auth_strategy: found http_basic without user or password, expected image_server_user and image_server_password',
    )
  }
  if (glance.swift_temp_url_expected_download_start_delay > glance.swift_temp_url_duration) {
    problems.push(
      `[glance] swift_temp_url_expected_download_start_delay: found ${glance.swift_temp_url_expected_download_start_delay}, expected at most swift_temp_url_duration (${glance.swift_temp_url_duration})`,
    )
  }
  if (conductor.heartbeat_timeout <= conductor.heartbeat_interval) {
    problems.push(
      `[conductor] heartbeat_timeout: found ${conductor.heartbeat_timeout}, expected more than heartbeat_interval (${conductor.heartbeat_interval})`,
    )
  }
  if (ferrite.http_serve && ferrite.http_port !== 0 && ferrite.http_port === api.port) {
    problems.push(`[ferrite] http_port: found ${ferrite.http_port}, which [api] port has too, expected another port`)
  }
  return problems
}
