/**
 * What a command of the client is: its words after the group (`power on`), its arguments and options, and the function
 * that asks the API. Parsing, help, completion and printing all read this declaration; a command never touches argv,
 * the terminal or HTTP itself.
 */
import type { Fault } from '#lib/fault.ts'
import type { Api } from './client.ts'
import type { Reporter } from './report.ts'
import type { Terminal } from './terminal.ts'

export interface Positional {
  readonly about: string
  /** Shown as `<this>`; default: the argument's key. */
  readonly metavar?: string
  /** One or more words. At most one argument of a command may be so. */
  readonly many?: true
  /** May be left out (with `many`: none or more words); only the last argument. */
  readonly optional?: true
  readonly choices?: readonly string[]
}

export interface Option {
  /**
   * `nothing`: a switch; `text`, `number`: one word, the last one wins; `repeat`: one word each time it is given;
   * `words`: one or more words each time (`--fields a b`); `number?`: a number or nothing (`--wait`, `--wait 60`);
   * `yes?`: true or false, or nothing for true (`--public`, `--public false`).
   */
  readonly takes: 'nothing' | 'text' | 'number' | 'repeat' | 'words' | 'number?' | 'yes?'
  readonly about: string
  /** Shown as `<this>`; default: the option's name. */
  readonly metavar?: string
  /** One-letter spelling, without the dash. */
  readonly short?: string
  readonly choices?: readonly string[]
  /** The smallest number it takes. */
  readonly least?: number
  readonly required?: true
  /** At most one option of the same `group` may be given. */
  readonly group?: string
}

export type Positionals = Readonly<Record<string, Positional>>
export type Options = Readonly<Record<string, Option>>

type PositionalValue<P extends Positional> = P extends { many: true }
  ? string[]
  : P extends { optional: true }
    ? string | undefined
    : string

interface OptionValues {
  nothing: true
  text: string
  number: number
  repeat: string[]
  words: string[]
  'number?': number | null
  'yes?': boolean
}

/** The values of a parsed command line, keyed as declared; an option that was not given is absent. */
export interface Input<P extends Positionals = Positionals, O extends Options = Options> {
  readonly args: { readonly [K in keyof P]: PositionalValue<P[K]> }
  readonly options: { readonly [K in keyof O]?: OptionValues[O[K]['takes']] }
}

/** The input of any command, for code that goes by declarations instead of by names. */
export interface AnyInput {
  readonly args: Readonly<Record<string, string | string[] | undefined>>
  readonly options: Readonly<Record<string, OptionValue | undefined>>
}
export type OptionValue = OptionValues[Option['takes']]

export interface Context {
  readonly api: Api
  readonly terminal: Terminal
  readonly reporter: Reporter
}

/** A JSON object as the API answered it. */
export type Item = Readonly<Record<string, unknown>>

/** What a command has to show: one object, or a table whose rows are objects with the named columns. */
export type Output = (
  | { readonly kind: 'one'; readonly item: Item }
  | { readonly kind: 'list'; readonly columns: readonly string[]; readonly items: readonly Item[] }
) & {
  /** Thrown once all is shown. */
  readonly failure?: Fault
}

export interface AnyCommand {
  readonly about: string
  readonly args: Positionals
  readonly options: Options
  /** The kind of `Output` it returns, which decides the output options; absent for commands that only act. */
  readonly shows?: Output['kind']
  // As a method, so that a command with narrower input is an AnyCommand: the parser makes input from the declaration.
  run(input: AnyInput, context: Context): Promise<Output | undefined>
}

interface Declaration<P extends Positionals, O extends Options> {
  about: string
  args: P
  options: O
  shows?: Output['kind']
  run(input: Input<P, O>, context: Context): Promise<Output | undefined>
}

/** Declares a command; the types of `run`'s input are read off `args` and `options`. */
export function command<const P extends Positionals, const O extends Options>(it: Declaration<P, O>): AnyCommand {
  return it as unknown as AnyCommand // parse.ts builds exactly Input<P, O> from these same declarations
}

/**
 * A command whose options are read off the API's fields. Those come with the schema library, which takes longer to load
 * than a list takes to show: so they are loaded only for a command that needs them.
 */
export interface LaterCommand {
  readonly about: string
  load(): Promise<AnyCommand>
}

export async function loaded(command: AnyCommand | LaterCommand): Promise<AnyCommand> {
  return 'load' in command ? await command.load() : command
}

/**
 * Commands of one group by their words after it (none, where the group is a command itself); the key order is the order
 * of the help.
 */
export type Commands = Readonly<Record<string, AnyCommand | LaterCommand>>
