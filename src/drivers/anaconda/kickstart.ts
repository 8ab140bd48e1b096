/**
 * The kickstart of a node: which template, with which values, and whether the result is one that Anaconda reads.
 *
 * Source: deploy interfaces, "anaconda" (ironic/common/pxe_utils.py, the variables and their names restated).
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BootFile, fetchBootFile } from '#boot/ramdisk-files.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { CommandFailed, run } from '#lib/run.ts'
import { TemplateWrong } from '#lib/template/faults.ts'
import { renderTemplate } from '#lib/template/template.ts'
import type { NodeContext } from '../driver.ts'

/** What a template may ask for, as `ks_options.…`; those that may be absent are asked for by `'name' in ks_options`. */
export interface KickstartOptions {
  /** Of the image, or of the repository. */
  readonly liveimg_url: string
  /** Hex of its SHA-256. */
  readonly liveimg_checksum?: string
  readonly agent_token: string
  readonly heartbeat_url: string
  /** %post sections, or nothing. */
  readonly config_drive: string
  readonly is_source_a_path?: 'true'
  readonly insecure_heartbeat?: 'true'
}

const ownTemplate = fileURLToPath(new URL('./ks.cfg.template', import.meta.url))
/** Without these an installation could not be told from one that hangs. */
const required = ['liveimg_url', 'agent_token', 'heartbeat_url'] as const

/**
 * The node's kickstart.
 * @param template null for that of the configuration, or ours
 * @throws InvalidInput naming template, line and what is wrong; BootFileUnavailable
 */
export async function kickstart(
  ctx: NodeContext,
  template: BootFile | null,
  options: KickstartOptions,
): Promise<string> {
  const { text, shown } = await readTemplate(ctx, template)
  return filledIn(text, shown, options, ctx.node.uuid)
}

/**
 * Tries the node's template with values that are not real.
 * @throws InvalidInput for a template with an unknown variable, without a required one, or that makes no kickstart
 */
export async function checkTemplate(
  ctx: NodeContext,
  template: BootFile | null,
  { isPath }: { isPath: boolean },
): Promise<void> {
  const { text, shown } = await readTemplate(ctx, template)
  const tried: KickstartOptions = {
    liveimg_url: 'http://ferrite.invalid/image.tar.xz',
    agent_token: 'not-a-token',
    heartbeat_url: 'http://ferrite.invalid/v1/heartbeat/node',
    config_drive: '',
    ...(isPath ? { is_source_a_path: 'true' } : {}),
    ...(ctx.config.anaconda.insecure_heartbeat ? { insecure_heartbeat: 'true' } : {}),
  }
  const result = filledIn(text, shown, tried, ctx.node.uuid)
  const missing = required.filter(name => !result.includes(tried[name]))
  if (missing.length > 0) {
    throw new InvalidInput(
      `Cannot use the kickstart template ${shown} for node ${ctx.node.uuid}: it has no ` +
        `${missing.map(name => `ks_options.${name}`).join(', ')}; expected all of them, see docs/anaconda.md`,
    )
  }
  await checkKickstart(ctx, result, shown)
}

/**
 * Has pykickstart's validator read it, where that is installed.
 * @throws InvalidInput with what it says
 */
export async function checkKickstart({ log, node }: NodeContext, text: string, shown: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-kickstart-'))
  try {
    const file = join(folder, 'ks.cfg')
    await writeFile(file, text, { mode: 0o600 })
    await run('ksvalidator', [file])
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error
    if (isMissing(error.cause)) return log.debug({}, 'kickstarts are not validated: there is no ksvalidator here')
    const said = error.message.replace(/^[^:]*ended with status \d+:?\s*/, '').replaceAll(folder, '')
    throw new InvalidInput(
      `Cannot install node ${node.uuid}: ksvalidator refuses the kickstart made from ${shown}: ${said}`,
      { cause: error },
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function readTemplate(ctx: NodeContext, own: BootFile | null): Promise<{ text: string; shown: string }> {
  if (own) return { text: await readFile(await fetchBootFile(ctx, own), 'utf8'), shown: own.location }
  const path = ctx.config.anaconda.default_ks_template ?? ownTemplate
  try {
    return { text: await readFile(path, 'utf8'), shown: path === ownTemplate ? "Ferrite's own" : path }
  } catch (error) {
    throw new InvalidInput(
      `Cannot install node ${ctx.node.uuid}: [anaconda] default_ks_template names ${path}: ${messageOf(error)}`,
    )
  }
}

function filledIn(text: string, shown: string, options: KickstartOptions, uuid: string): string {
  try {
    return `${renderTemplate(text, { ks_options: options })}\n`
  } catch (error) {
    if (!(error instanceof TemplateWrong)) throw error
    throw new InvalidInput(`Cannot use the kickstart template ${shown} for node ${uuid}: ${error.message}`, {
      cause: error,
    })
  }
}

const isMissing = (error: unknown) => error instanceof Error && 'code' in error && error.code === 'ENOENT'
