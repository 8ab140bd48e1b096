/** The types of interface that every node has, each with a `<type>_interface` field. Loads no schema library: the client starts fast. */
export const interfaceTypes = [
  'bios',
  'boot',
  'console',
  'deploy',
  'firmware',
  'inspect',
  'management',
  'network',
  'power',
  'raid',
  'rescue',
  'storage',
  'vendor',
] as const
export type InterfaceType = (typeof interfaceTypes)[number]
