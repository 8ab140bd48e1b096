/** `ferrite node passthru ...`: what only this make of hardware can do. */
import type { Commands } from './command.ts'
import { resource } from './node-resource.ts'
import { passthruCommands } from './passthru.ts'

export const commands: Commands = passthruCommands(resource)
