/** What can be wrong with a template; the message names the line. */
import { Fault } from '../fault.ts'

export class TemplateWrong extends Fault {
  readonly status = 400
  readonly code = 'template-wrong'
  /** Counted from 1. */
  readonly line: number

  constructor(line: number, what: string) {
    super(`line ${line}: ${what}`)
    this.line = line
  }
}
