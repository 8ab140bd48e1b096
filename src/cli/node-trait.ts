/** `ferrite node trait ...`. */
import type { Commands } from './command.ts'
import { resource } from './node-resource.ts'
import { traitCommands } from './traits.ts'

export const commands: Commands = traitCommands(resource)
