/**
 * The real agent in a process of its own, as the ramdisk runs it: the bundle, a kernel command line, a state directory.
 * And a client that trusts exactly the certificate of its heartbeat. For tests.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CommandResult } from '#protocol/agent.ts'
import type { FakeIronic } from './fake-ironic.ts'

export interface AgentProcess {
  dir: string
  /** Everything it printed. */
  output(): string
  start(): void
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>
  call(method: string, path: string, options?: { json?: unknown; token?: string | null; body?: string }): Promise<Reply>
  command(name: string, params?: Record<string, unknown>, wait?: boolean): Promise<CommandResult>
  commands(): Promise<CommandResult[]>
  /** Waits until the newest command has ended. */
  ended(): Promise<CommandResult>
  remove(): Promise<void>
}

export interface Reply {
  status: number
  headers: Record<string, unknown>
  // Answers are asserted against literals, field by field.
  // biome-ignore lint/suspicious/noExplicitAny: the tests are the schema
  body: any
}

/**
 * @param file the bundle
 * @param options.parameters more words for the kernel command line
 */
export function startAgent(
  file: string,
  ironic: FakeIronic,
  { devices = [] as string[], parameters = '', flags = [] as string[] } = {},
): AgentProcess {
  const dir = mkdtempSync(join(tmpdir(), 'ferrite-agent-'))
  const port = 20_000 + Math.floor(Math.random() * 40_000)
  const cmdline = `quiet ipa-api-url=${ironic.url} ipa-disk-wait-attempts=1 ipa-listen-port=${port} ${parameters}`
  writeFileSync(join(dir, 'cmdline'), cmdline)
  writeFileSync(join(dir, 'ca.pem'), ironic.certPem)
  let child: ChildProcess | null = null
  let output = ''

  const agent: AgentProcess = {
    dir,
    output: () => output,
    start: () => {
      const args = [
        file,
        '--guest',
        // A BIOS machine, whatever the tests run on.
        ...['--efi-dir', join(dir, 'no-efi')],
        ...['--cmdline-file', join(dir, 'cmdline'), '--state-dir', join(dir, 'state'), '--temp-dir', dir],
        // Never empty: an agent without this list would see the disks of the machine the tests run on.
        ...['--only-devices', devices.join(',') || '/dev/null'],
        ...flags,
      ]
      child = spawn(process.execPath, args, {
        env: { ...process.env, NODE_EXTRA_CA_CERTS: join(dir, 'ca.pem') },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      for (const stream of [child.stdout, child.stderr]) {
        stream?.on('data', (chunk: Buffer) => {
          output += chunk.toString()
        })
      }
    },
    kill: async () => {
      if (child === null || child.exitCode !== null || child.signalCode !== null) return
      const gone = new Promise(resolve => child?.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    },
    call: async (method, path, { json, token = ironic.token, body } = {}) => {
      const [first] = ironic.heartbeats
      if (!first) throw new Error(`the agent has not called yet:\n${output}`)
      const url = new URL(path, first.callback_url)
      if (token !== null) url.searchParams.set('agent_token', token)
      return await send(
        method,
        url,
        first.agent_verify_ca ?? '',
        body ?? (json === undefined ? null : JSON.stringify(json)),
      )
    },
    command: async (name, params = {}, wait = false) => {
      const { status, body } = await agent.call('POST', `/v1/commands/?wait=${wait}`, { json: { name, params } })
      if (status !== 200) throw new Error(`${name}: ${status} ${JSON.stringify(body)}`)
      return body
    },
    commands: async () => (await agent.call('GET', '/v1/commands/')).body.commands,
    ended: async () => {
      for (;;) {
        const last = (await agent.commands()).at(-1)
        if (last !== undefined && last.command_status !== 'RUNNING') return last
        await sleep(50)
      }
    },
    remove: async () => {
      await agent.kill()
      rmSync(dir, { recursive: true, force: true })
    },
  }
  agent.start()
  return agent
}

function send(method: string, url: URL, ca: string, body: string | null): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, ca, agent: false }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: text === '' ? null : JSON.parse(text),
        })
      })
    })
    sent.on('error', reject)
    sent.end(body ?? undefined)
  })
}
