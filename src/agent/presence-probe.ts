/**
 * Run in a network namespace of its own: an agent's presence while the machine's address changes. Prints what a client
 * sees before and after. For the test of presence.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { testContext } from './hardware/test-run.ts'
import { IronicApi } from './ironic-api.ts'
import { makePresence } from './presence.ts'

const ip = (line: string) => execFileSync('ip', line.split(' '))
for (const line of [
  'link set lo up',
  'link add host0 type veth peer name switch0',
  'link set host0 up',
  'link set switch0 up',
  'addr add 192.0.2.5/24 dev host0',
]) {
  ip(line)
}
const stateDir = mkdtempSync(join(tmpdir(), 'ferrite-presence-'))
const context = testContext({ devices: [], stateDir, options: { apiUrls: ['http://192.0.2.1'], listenPort: 0 } })
context.options.httpTimeoutMs = 100 // nobody is there
const presence = await makePresence(context, {
  api: new IronicApi(context),
  handle: (_request, response) => void response.end(),
  signal: new AbortController().signal,
})
await presence.open()

const look = async () => {
  const { callback_url: url, agent_verify_ca: ca } = presence.heartbeat(null)
  const { hostname, port } = new URL(url)
  // A new connection that trusts what the heartbeat told, and nothing else.
  const socket = connect({ host: hostname, port: Number(port), ca: ca ?? '' })
  const trusted = await new Promise(resolve => {
    socket.on('secureConnect', () => resolve(socket.authorized)).on('error', error => resolve(error.message))
  })
  socket.destroy()
  return { hostname, trusted, ca }
}

const first = await look()
await presence.refresh()
const same = await look()
ip('addr add 192.0.2.6/24 dev host0')
ip('addr del 192.0.2.5/24 dev host0')
ip('addr replace 192.0.2.6/24 dev host0')
await presence.refresh()
const moved = await look()
process.stdout.write(
  JSON.stringify({
    first: [first.hostname, first.trusted],
    isKept: same.ca === first.ca,
    moved: [moved.hostname, moved.trusted],
    isNew: moved.ca !== first.ca,
  }),
)
presence.server.close()
rmSync(stateDir, { recursive: true })
