/**
 * A bare Redfish client for VM tests. It is not the driver's, so that a mistake there cannot hide one of the emulator.
 * It goes through the lab's control socket and checks the BMC's certificate.
 */
import { readFile } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as tlsConnect } from 'node:tls'
import type { Lab } from '#lab/lab.ts'

export interface BmcReply {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: a test reads the reply as any client does, and fails where it is wrong
  body: any
}

export async function bmcCall(
  lab: Lab,
  machine: string,
  request: { method: string; path: string; body?: unknown; password?: string },
): Promise<BmcReply> {
  const { bmc } = lab.machine(machine)
  const ca = await readFile(bmc.certificate_file, 'utf8')
  const inside = await lab.connect(bmc.address, bmc.port)
  const secured = tlsConnect({ socket: inside, ca, host: bmc.address })
  const credentials = Buffer.from(`${bmc.username}:${request.password ?? bmc.password}`).toString('base64')
  return new Promise((resolve, reject) => {
    const call = httpsRequest(
      {
        method: request.method,
        path: request.path,
        headers: { Authorization: `Basic ${credentials}`, Connection: 'close' },
        createConnection: () => secured,
      },
      async response => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve({ status: response.statusCode ?? 0, body: text === '' ? null : JSON.parse(text) })
      },
    )
    secured.on('error', reject)
    call.on('error', reject)
    call.end(request.body === undefined ? '' : JSON.stringify(request.body))
  })
}

export function resetMachine(lab: Lab, machine: string, type: string): Promise<BmcReply> {
  const path = `${lab.machine(machine).bmc.system_path}/Actions/ComputerSystem.Reset`
  return bmcCall(lab, machine, { method: 'POST', path, body: { ResetType: type } })
}

export function setBoot(lab: Lab, machine: string, target: string, enabled: string): Promise<BmcReply> {
  const body = { Boot: { BootSourceOverrideTarget: target, BootSourceOverrideEnabled: enabled } }
  return bmcCall(lab, machine, { method: 'PATCH', path: lab.machine(machine).bmc.system_path, body })
}

export async function powerState(lab: Lab, machine: string): Promise<string> {
  const path = lab.machine(machine).bmc.system_path
  return (await bmcCall(lab, machine, { method: 'GET', path })).body.PowerState
}

export async function waitForPower(lab: Lab, machine: string, state: string, limitMs = 20_000): Promise<void> {
  const deadline = Date.now() + limitMs
  let found = await powerState(lab, machine)
  while (found !== state) {
    if (Date.now() > deadline) throw new Error(`${machine} is ${found} after ${limitMs} ms, expected ${state}`)
    await sleep(100)
    found = await powerState(lab, machine)
  }
}
