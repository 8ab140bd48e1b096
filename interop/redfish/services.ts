/**
 * Redfish services that the driver is tried against: our own emulator with a board, and one that nobody here wrote, the
 * emulator of sushy-tools, by pip in a virtual environment of its own. Each listens on the loopback and ends with the test.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensureHostPackages, forNewestClients, HostPackagesMissing } from '#lab/host-packages.ts'
import { Board } from '#lab/redfish/board/board.ts'
import { FakeHardware } from '#lab/redfish/fake-hardware.ts'
import { redfishService } from '#lab/redfish/service.ts'
import { CommandFailed, run } from '#lib/run.ts'

export interface Service extends AsyncDisposable {
  /** As people call it, with its version. */
  readonly name: string
  readonly url: string
  /** As driver_info has them; absent: none are asked for. */
  readonly account?: { redfish_username: string; redfish_password: string }
  /** It shows every boot override as a lasting one, whatever it was told. */
  readonly showsNoOnce?: boolean
  /** Paths that were asked for, each once; only where we see the requests. */
  readonly asked?: ReadonlySet<string>
}

const loopback = '127.0.0.1'
const account = { username: 'admin', password: 'of the emulator' }

export async function ownService(): Promise<Service> {
  const hardware = new FakeHardware({ bootTargets: ['None', 'Pxe', 'Hdd', 'Cd', 'UefiHttp'] })
  const service = redfishService({ hardware, account, now: Date.now, board: new Board() })
  const asked = new Set<string>()
  const server = createServer(async (incoming, outgoing) => {
    const body = await text(incoming)
    asked.add(incoming.url ?? '')
    const request = new Request(`http://${loopback}${incoming.url}`, {
      method: incoming.method ?? 'GET',
      headers: incoming.headers as Record<string, string>, // our clients repeat no header
      ...(body === '' ? {} : { body }),
    })
    const response = await service(request)
    outgoing.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text())
  })
  server.listen(0, loopback)
  await once(server, 'listening')
  return {
    name: "Ferrite's emulator",
    url: `http://${loopback}:${(server.address() as AddressInfo).port}`, // it listens on TCP
    account: { redfish_username: account.username, redfish_password: account.password },
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** The emulator of sushy-tools with its fake machines, or why it cannot be had. */
export async function sushyService(): Promise<Service | { missing: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-sushy-'))
  try {
    await ensureHostPackages(forNewestClients, line => console.log(line))
    await run('/usr/bin/python3', ['-m', 'venv', directory])
    const pip = join(directory, 'bin/pip')
    await run(pip, ['install', '--quiet', '--retries', '1', 'sushy-tools'])
    const { stdout } = await run(pip, ['show', 'sushy-tools'])
    const version = /^Version: (.*)$/m.exec(stdout)?.[1] ?? 'of unknown version'
    return await startSushy(directory, version)
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    if (error instanceof CommandFailed || error instanceof HostPackagesMissing) return { missing: error.message }
    throw error
  }
}

async function startSushy(directory: string, version: string): Promise<Service> {
  const port = await freePort()
  const child = spawn(join(directory, 'bin/sushy-emulator'), ['--fake', '-i', loopback, '-p', `${port}`], {
    stdio: 'ignore',
    cwd: directory,
  })
  const end = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    }
    await rm(directory, { recursive: true, force: true })
  }
  for (const endMs = performance.now() + 60_000; !(await answers(port)); await sleep(100)) {
    if (performance.now() < endMs && child.exitCode === null) continue
    await end()
    throw new Error(`sushy-emulator ${version} does not listen on port ${port} (exit ${child.exitCode})`)
  }
  return {
    name: `sushy-tools ${version}`,
    url: `http://${loopback}:${port}`,
    showsNoOnce: true,
    [Symbol.asyncDispose]: end,
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, loopback)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, loopback)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens on TCP
  server.close()
  await once(server, 'close')
  return port
}
