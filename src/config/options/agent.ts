/** [agent] and [agent_containers]: the conductor's side of the agent, and what is sent to it. */
import { boolean, booleanOrPath, choice, integer, list, path, string } from '../kinds.ts'

export const agent = {
  image_download_source: choice({
    choices: ['http', 'local', 'swift'],
    default: 'http',
    mutable: true,
    effective: true,
    help: 'Where the agent gets the image: http = from the URL of image_source; local = from this conductor, which has fetched, checked and converted it; swift = images of Glance by a temporary URL of the object store that holds them, others as http. With http, images of Glance and files are served by this conductor as with local. instance_info and driver_info of a node win.',
  }),
  stream_raw_images: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'The agent writes raw images to the disk while it downloads them, without a copy in memory.',
  }),
  memory_consumed_by_agent: integer({
    default: 0,
    min: 0,
    mutable: true,
    effective: true,
    help: "MiB taken off a node's memory_mb when it is asked whether an image fits into memory.",
  }),
  manage_agent_boot: boolean({
    default: true,
    deprecated: 'boot the ramdisk through Ferrite',
    help: 'false: the operator boots the ramdisk.',
  }),
  require_tls: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Refuse agents that offer no https.',
  }),
  verify_ca: booleanOrPath({
    default: true,
    effective: true,
    help: "Check agents' certificates: true, false, or a file or directory of CA certificates; driver_info agent_verify_ca says otherwise for a node. The certificate that an agent sends with its heartbeat is trusted for that node alone, and instead.",
  }),
  certificates_path: path({
    default: '$state_path/certificates',
    ironic: '/var/lib/ironic/certificates',
    help: "Directory of the agents' certificates.",
  }),
  api_ca_file: path({
    default: null,
    effective: true,
    help: 'CA certificate put into virtual media so that the agent trusts the API.',
  }),
  tls_minimum_version: choice({
    choices: ['1.2', '1.3'],
    default: '1.3',
    effective: true,
    help: 'Oldest TLS version accepted from agents.',
  }),
  tls_ciphers: string({
    default: null,
    effective: true,
    help: 'TLS 1.2 ciphers accepted from agents, in the notation of OpenSSL.',
  }),
  agent_api_version: string({ default: 'v1', effective: true, help: "Version in the path of the agent's API." }),
  command_timeout: integer({
    default: 60,
    min: 1,
    mutable: true,
    effective: true,
    help: 'Seconds an agent may take to answer a command.',
  }),
  max_command_attempts: integer({
    default: 3,
    min: 1,
    effective: true,
    help: 'Tries to reach an agent before the step fails.',
  }),
  command_wait_attempts: integer({
    default: 100,
    min: 1,
    help: 'Looks at a running command of the agent before it is given up, for commands that are waited for at once.',
  }),
  command_wait_interval: integer({ default: 6, min: 1, help: 'Seconds between these looks.' }),
  post_deploy_get_power_state_retries: integer({
    default: 6,
    min: 0,
    effective: true,
    help: 'Looks whether the agent has powered its machine off, before it is powered off through the BMC.',
  }),
  post_deploy_get_power_state_retry_interval: integer({
    default: 5,
    min: 0,
    effective: true,
    help: 'Seconds between these looks.',
  }),
  deploy_logs_collect: choice({
    choices: ['always', 'on_failure', 'never'],
    default: 'on_failure',
    mutable: true,
    effective: true,
    help: "When the ramdisk's logs are fetched.",
  }),
  deploy_logs_storage_backend: choice({
    choices: ['local', 'swift'],
    default: 'local',
    mutable: true,
    effective: true,
    help: "Where the ramdisk's logs are kept.",
  }),
  deploy_logs_local_path: path({
    default: '$state_path/deploy-logs',
    ironic: '/var/log/ironic/deploy',
    mutable: true,
    effective: true,
    help: "Directory of the ramdisk's logs.",
  }),
  deploy_logs_swift_container: string({
    default: 'ironic_deploy_logs_container',
    mutable: true,
    effective: true,
    help: "Swift container of the ramdisk's logs.",
  }),
  deploy_logs_swift_days_to_expire: integer({
    default: 30,
    min: 0,
    mutable: true,
    effective: true,
    help: 'Days after which Swift deletes the logs; 0: never.',
  }),
  allow_md5_checksum: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Accept MD5 as the checksum of an image.',
  }),
  enable_bios_bootloader_install: boolean({
    default: false,
    effective: true,
    help: 'Let the agent run the boot loader installer of a partition image on BIOS machines. It runs programs of the image.',
  }),
  neutron_agent_poll_interval: integer({
    default: 2,
    min: 0,
    mutable: true,
    help: "Seconds between two looks at a SmartNIC's agent.",
  }),
  neutron_agent_max_attempts: integer({ default: 100, min: 0, help: "Looks at a SmartNIC's agent." }),
  neutron_agent_status_retry_interval: integer({
    default: 10,
    min: 0,
    help: 'Seconds between tries to learn its state.',
  }),
}

export const agent_containers = {
  allow_arbitrary_containers: boolean({
    default: false,
    effective: true,
    help: 'Container steps may run any container.',
  }),
  allowed_containers: list({ default: [], effective: true, help: 'Containers that container steps may run.' }),
  container_steps_file: path({
    default: '/etc/ironic-python-agent.d/mysteps.yaml',
    help: 'File of the ramdisk that declares container steps.',
  }),
  runner: choice({
    choices: ['podman', 'docker'],
    default: 'podman',
    effective: true,
    help: 'What runs the containers.',
  }),
  pull_options: list({ default: [], effective: true, help: 'Options for pulling containers.' }),
  run_options: list({ default: ['--rm', '--network=host'], effective: true, help: 'Options for running containers.' }),
}
