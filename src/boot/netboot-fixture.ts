/**
 * For tests, inside a network namespace: boot roots, the file server and dnsmasq, as the service runs them. Takes the
 * configuration's overrides as JSON; says what happens as a line of JSON each; takes `known MAC[=BOOT-INTERFACE] …` and `stop` as lines.
 */
import { createInterface } from 'node:readline'
import { loadConfig } from '#config/load.ts'
import { startFileServer } from '#images/file-server.ts'
import { systemClock } from '#lib/clock.ts'
import { messageOf } from '#lib/fault.ts'
import { silent } from '#lib/log.ts'
import { startDnsmasq } from './dnsmasq.ts'
import { prepareBootRoots } from './root.ts'

const say = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`)
const log = { ...silent, error: (data: object, message: string) => say({ error: message, ...data }) }

const config = await loadConfig({ overrides: JSON.parse(process.argv[2] ?? '{}') })
await prepareBootRoots(config, log)
await using files = await startFileServer({
  host: config.ferrite.http_host,
  port: config.ferrite.http_port,
  root: config.deploy.http_root,
  log,
  onTransfer: ({ path, status, bytes }) => say({ http: path, status, bytes }),
})
try {
  const dnsmasq = await startDnsmasq({ config, clock: systemClock, log, onEvent: say })
  say({ ready: files.port })
  for await (const line of createInterface({ input: process.stdin })) {
    const [word, ...macs] = line.split(' ')
    if (word === 'stop') break
    await dnsmasq.setKnown(macs.map(each => ({ mac: each.split('=')[0] ?? '', way: each.split('=')[1] ?? null })))
    say({ known: macs.length })
  }
  await dnsmasq.stop()
  say({ stopped: true })
} catch (error) {
  say({ failed: messageOf(error) })
}
process.stdin.destroy() // an open pipe would keep the process
