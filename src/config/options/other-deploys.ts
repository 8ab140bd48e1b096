/** Further deploy interfaces: [ansible], [anaconda]. */
import { boolean, integer, path, string } from '../kinds.ts'

export const ansible = {
  ansible_playbook_script: path({ default: 'ansible-playbook', help: 'The program to run.', effective: true }),
  ansible_extra_args: string({ default: null, help: 'Further arguments of it.', effective: true }),
  verbosity: integer({ default: null, min: 0, max: 4, help: 'Number of -v. Unset: 0, with debug 4.', effective: true }),
  playbooks_path: path({
    default: null,
    ironic: 'the packaged playbooks',
    help: 'Directory of playbooks. Unset: ours.',
    effective: true,
  }),
  config_file_path: path({
    default: null,
    ironic: 'the packaged file',
    help: 'ansible.cfg. Unset: ours.',
    effective: true,
  }),
  default_username: string({ default: 'ansible', help: 'User to log into the ramdisk as.', effective: true }),
  default_key_file: path({ default: null, help: 'Private key for that.', effective: true }),
  default_python_interpreter: path({ default: null, help: 'Python of the ramdisk.', effective: true }),
  default_deploy_playbook: string({ default: 'deploy.yaml', help: 'Playbook of deployments.', effective: true }),
  default_shutdown_playbook: string({
    default: 'shutdown.yaml',
    help: 'Playbook that powers a machine off.',
    effective: true,
  }),
  default_clean_playbook: string({ default: 'clean.yaml', help: 'Playbook of cleaning.', effective: true }),
  default_clean_steps_config: string({
    default: 'clean_steps.yaml',
    help: 'File that declares clean steps.',
    effective: true,
  }),
  extra_memory: integer({
    default: 10,
    min: 0,
    help: 'MiB of memory a playbook takes beside the image.',
    effective: true,
  }),
  image_store_insecure: boolean({ default: false, help: "Do not check image servers' certificates.", effective: true }),
  image_store_cafile: path({ default: null, help: 'CA certificates for image servers.', effective: true }),
  image_store_certfile: path({ default: null, help: 'Client certificate for image servers.', effective: true }),
  image_store_keyfile: path({ default: null, help: 'Private key of it.', effective: true }),
  post_deploy_get_power_state_retries: integer({
    default: 6,
    min: 0,
    help: 'Looks whether the machine is off.',
    effective: true,
  }),
  post_deploy_get_power_state_retry_interval: integer({
    default: 5,
    min: 0,
    help: 'Seconds between them.',
    effective: true,
  }),
}

export const anaconda = {
  default_ks_template: path({
    default: null,
    ironic: 'the packaged template',
    mutable: true,
    help: 'Kickstart template. Unset: ours.',
    effective: true,
  }),
  insecure_heartbeat: boolean({
    default: false,
    mutable: true,
    help: 'Let the installer call the API without checking its certificate.',
    effective: true,
  }),
}
