/** `ferrite restore`; it stands with `ferrite backup` in command.ts. */
export { restoreMain as main } from './command.ts'
