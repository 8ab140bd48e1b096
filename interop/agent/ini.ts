/** Configuration files of OpenStack's services: sections of options. */
export type Ini = Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>

export function iniText(sections: Ini): string {
  const parts = Object.entries(sections).map(([section, options]) => {
    return [`[${section}]`, ...Object.entries(options).map(([name, value]) => `${name} = ${value}`), ''].join('\n')
  })
  return parts.join('\n')
}
