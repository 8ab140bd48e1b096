/**
 * The address of this machine that others most likely reach it at: that of the interface with the default route, as the
 * kernel's own table has it. Sends nothing.
 */
import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'

export function detectMyIp(): string {
  const interfaces = networkInterfaces()
  const ipv4Of = (name: string) => interfaces[name]?.find(entry => entry.family === 'IPv4' && !entry.internal)?.address
  const names = [...defaultRouteInterfaces(), ...Object.keys(interfaces)]
  return names.map(ipv4Of).find(found => found !== undefined) ?? '127.0.0.1'
}

/** Names of the interfaces with a default route, the preferred one first. Columns: proc_pid_net(5), "route". */
function defaultRouteInterfaces(): string[] {
  let table: string
  try {
    table = readFileSync('/proc/net/route', 'utf8')
  } catch {
    return []
  }
  return table
    .split('\n')
    .slice(1)
    .map(line => line.split('\t'))
    .filter(([, destination, , , , , , mask]) => destination === '00000000' && mask === '00000000')
    .sort((a, b) => Number(a[6]) - Number(b[6]))
    .map(([name = '']) => name)
}
