/**
 * The kernel's command line: which parameters a ramdisk gets, and what may stand there. Pure.
 *
 * Source: boot facts, "Kernel parameters" (ironic/common/pxe_utils.py restated); Linux kernel-parameters.rst.
 */
import type { NodeContext } from '#drivers/driver.ts'
import { InvalidInput } from '#lib/fault.ts'

/**
 * The operator's parameters for a node: those of instance_info, else of driver_info, else the configured ones, for
 * which %default% stands in the others.
 * @param section of the configuration: which has `kernel_append_params` for this way of booting
 * @throws InvalidInput naming the setting and the word that is wrong
 */
export function operatorParameters(
  { node, config }: Pick<NodeContext, 'node' | 'config'>,
  section: 'pxe' | 'redfish',
): string {
  const own = (['instance_info', 'driver_info'] as const).map(field => ({
    name: `${field}/kernel_append_params`,
    value: node[field].kernel_append_params,
  }))
  const given = own.find(({ value }) => value !== undefined && value !== null && value !== '')
  if (given !== undefined && typeof given.value !== 'string') {
    throw new InvalidInput(`Cannot use ${given.name}: it is a ${typeof given.value}, expected a text`)
  }
  const configured = cleaned(config[section].kernel_append_params)
  const text = given === undefined ? configured : cleaned(String(given.value)).replaceAll('%default%', configured)
  const unchecked = config.conductor.disable_kernel_parameter_parsing
  if (!unchecked) check(text, given?.name ?? `[${section}] kernel_append_params`)
  return text
}

/**
 * Parameters that somebody gives for one kernel alone.
 * @param name of the field, for messages
 * @throws InvalidInput naming the field and what is wrong
 */
export function givenParameters(value: unknown, name: string, options: { unchecked: boolean }): string {
  if (value === undefined || value === null || value === '') return ''
  if (typeof value !== 'string') throw new InvalidInput(`Cannot use ${name}: it is a ${typeof value}, expected a text`)
  const text = cleaned(value)
  if (!options.unchecked) check(text, name)
  return text
}

/** One parameter as the kernel reads it. @throws InvalidInput when it cannot be written so */
export function parameter(name: string, value: string): string {
  const text = `${name}=${/\s/.test(value) ? `"${value}"` : value}`
  if (!WORD.test(text)) {
    throw new InvalidInput(
      `Cannot pass ${name} to the ramdisk: ${JSON.stringify(value)} does not fit on a command line`,
    )
  }
  return text
}

/** The words of a command line; what stands in quotes is one. */
export const wordsOf = (line: string): string[] => line.match(WORDS) ?? []

/** A line break would end the line of the boot script. */
const cleaned = (text: string) => text.replace(/[\r\n\0]/g, '').trim()

/** `key` or `key=value`; a value is printable without blanks and quotes, or in double quotes. */
const WORD = /^[A-Za-z0-9_.-]+(=([!#-~]*|"[ !#-~]*"))?$/
/** A blank inside double quotes does not end a word. */
const WORDS = /(?:"[^"]*"|[^\s"]|"(?![^"]*"))+/g

function check(text: string, name: string): void {
  // What follows a lone -- is for the init process, and its own business.
  const [kernel = ''] = text.split(/(?:^|\s)--(?:\s|$)/)
  for (const word of wordsOf(kernel)) {
    if (WORD.test(word)) continue
    throw new InvalidInput(
      `Cannot use the kernel parameters of ${name}: found ${JSON.stringify(word)}; expected words such as ` +
        'name, name=value or name="a value", with letters, digits, _ . - in the name',
    )
  }
}
