/**
 * What the ansible deploy interface reads from driver_info and [ansible], put together for one node. It checks what can
 * be checked without a machine: programs, playbooks and keys of this host.
 *
 * Source: deploy interfaces, "ansible" (ironic/drivers/modules/ansible/deploy.py restated).
 */
import { access, constants, stat } from 'node:fs/promises'
import { basename, delimiter, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InvalidInput } from '#lib/fault.ts'
import type { NodeContext, Property } from '../driver.ts'

export const ansibleDriverInfo = {
  ansible_playbooks_path: { description: 'Directory of playbooks. Default: [ansible] playbooks_path, else our own.' },
  ansible_deploy_playbook: { description: 'Playbook of deployments. Default: [ansible] default_deploy_playbook.' },
  ansible_shutdown_playbook: { description: 'Playbook that powers off. Default: [ansible] default_shutdown_playbook.' },
  ansible_clean_playbook: { description: 'Playbook of cleaning. Default: [ansible] default_clean_playbook.' },
  ansible_clean_steps_config: {
    description: 'File that declares clean steps. Default: [ansible] default_clean_steps_config.',
  },
  ansible_username: { description: 'User to log into the ramdisk as. Default: [ansible] default_username.' },
  ansible_key_file: { description: 'Private key for that, on the conductor. Default: [ansible] default_key_file.' },
  ansible_python_interpreter: {
    description: 'Python of the ramdisk. Default: [ansible] default_python_interpreter, else found by Ansible.',
  },
} as const satisfies Record<string, Property>

export interface AnsibleSettings {
  readonly program: string
  readonly extraArgs: readonly string[]
  readonly verbosity: number
  /** ansible.cfg. */
  readonly configFile: string
  readonly folder: string
  /** Are the playbooks our own? */
  readonly isOwn: boolean
  readonly playbooks: { readonly deploy: string; readonly clean: string; readonly shutdown: string }
  readonly cleanStepsFile: string
  readonly username: string
  readonly keyFile: string | null
  readonly pythonInterpreter: string | null
}

type World = Pick<NodeContext, 'node' | 'config'>

const ownFolder = fileURLToPath(new URL('./playbooks', import.meta.url))

/** @throws InvalidInput naming the setting that is wrong */
export function ansibleSettings({ node, config }: World): AnsibleSettings {
  const { ansible } = config
  const own = (name: keyof typeof ansibleDriverInfo) => textOf(node.driver_info[name], name, node.uuid)
  const folder =
    absolute(own('ansible_playbooks_path') ?? ansible.playbooks_path, 'ansible_playbooks_path') ?? ownFolder
  const file = (name: keyof typeof ansibleDriverInfo, otherwise: string) =>
    join(folder, basename(own(name) ?? otherwise))
  return {
    program: ansible.ansible_playbook_script,
    extraArgs: wordsOf(ansible.ansible_extra_args ?? ''),
    verbosity: ansible.verbosity ?? (config.DEFAULT.debug ? 4 : 0),
    configFile: ansible.config_file_path ?? join(ownFolder, 'ansible.cfg'),
    folder,
    isOwn: folder === ownFolder,
    playbooks: {
      deploy: file('ansible_deploy_playbook', ansible.default_deploy_playbook),
      clean: file('ansible_clean_playbook', ansible.default_clean_playbook),
      shutdown: file('ansible_shutdown_playbook', ansible.default_shutdown_playbook),
    },
    cleanStepsFile: file('ansible_clean_steps_config', ansible.default_clean_steps_config),
    username: own('ansible_username') ?? ansible.default_username,
    keyFile: absolute(own('ansible_key_file') ?? ansible.default_key_file, 'ansible_key_file'),
    pythonInterpreter: own('ansible_python_interpreter') ?? ansible.default_python_interpreter,
  }
}

/** @throws InvalidInput when the program, a playbook or the key is not on this host */
export async function checkAnsible(ctx: World): Promise<void> {
  const settings = ansibleSettings(ctx)
  const cannot = `Cannot use Ansible for node ${ctx.node.uuid}`
  if (!(await isProgram(settings.program))) {
    throw new InvalidInput(
      `${cannot}: there is no program ${settings.program}; install it (Debian: apt install ansible-core openssh-client) ` +
        'or name another one in [ansible] ansible_playbook_script',
    )
  }
  for (const [what, path] of Object.entries(settings.playbooks)) {
    if (await isReadable(path)) continue
    throw new InvalidInput(
      `${cannot}: its ${what} playbook ${path} is not there or cannot be read; expected driver_info ` +
        `ansible_playbooks_path and ansible_${what}_playbook, or [ansible] playbooks_path and default_${what}_playbook, to name one`,
    )
  }
  if (!(await isReadable(settings.configFile))) {
    throw new InvalidInput(`${cannot}: [ansible] config_file_path names ${settings.configFile}, which cannot be read`)
  }
  if (settings.keyFile !== null && !(await isReadable(settings.keyFile))) {
    throw new InvalidInput(
      `${cannot}: the private key ${settings.keyFile} (driver_info ansible_key_file or [ansible] default_key_file) ` +
        'is not there or cannot be read by this service',
    )
  }
}

function textOf(value: unknown, name: string, uuid: string): string | null {
  if (value === undefined || value === null || value === '') return null
  if (typeof value === 'string') return value
  throw new InvalidInput(
    `Cannot use Ansible for node ${uuid}: driver_info ${name} is a ${typeof value}, expected a text`,
  )
}

function absolute(path: string | null, name: string): string | null {
  if (path === null || isAbsolute(path)) return path
  throw new InvalidInput(`Cannot use Ansible: ${name} is ${JSON.stringify(path)}, expected an absolute path`)
}

/** Words as a shell would part them, with single or double quotes and nothing else. */
export function wordsOf(text: string): string[] {
  const words = text.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? []
  return words.map(word => word.replace(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single))
}

async function isProgram(name: string): Promise<boolean> {
  const folders = name.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter)
  const found = await Promise.all(folders.map(folder => can(join(folder, name), constants.X_OK)))
  return found.includes(true)
}

async function isReadable(path: string): Promise<boolean> {
  return (await can(path, constants.R_OK)) && (await stat(path)).isFile()
}

function can(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  )
}
