/**
 * The records of a BMC's sensors: read part by part, since answers are short, and kept until the BMC says that they
 * changed. Reading them anew takes hundreds of questions.
 *
 * Source: IPMI v2.0 rev 1.1, 33 "SDR repository commands", 35.2 to 35.4 "Device SDR commands".
 */
import { commands, completion, netFns } from '#protocol/ipmi/commands.ts'
import type { IpmiClient } from './client.ts'
import { deviceId } from './device.ts'
import { IpmiRefused, IpmiUnreadable } from './faults.ts'
import { decodeSensorRecord, headerBytes, type SensorRecord } from './sdr.ts'

/** By client: what was read, and the times at which the BMC says that it changed. */
const kept = new WeakMap<IpmiClient, { version: string; records: readonly SensorRecord[] }>()

/** A repository without end must not keep us busy. */
const mostRecords = 1024
/** Most firmware takes so many bytes of a record at a time. */
const usualBytes = 32
const leastBytes = 8
/** Others who read cancel our reservation. */
const mostReservations = 20
const lastRecord = 0xffff

/** A controller without a repository describes its own sensors, by the same commands under another function. */
interface Source {
  netFn: number
  info: number
  reserve: number
  get: number
}

const { getRepositoryInfo, reserveRepository, getSdr } = commands.storage
const repository: Source = {
  netFn: netFns.storage,
  info: getRepositoryInfo,
  reserve: reserveRepository,
  get: getSdr,
}
const ownSensors: Source = { netFn: netFns.sensor, info: 0x20, reserve: 0x22, get: 0x21 }

/** @throws HardwareFault when the BMC cannot be asked, or hands out nothing that can be read */
export async function sensorRecords(client: IpmiClient, signal: AbortSignal): Promise<readonly SensorRecord[]> {
  const source = (await deviceId(client, signal)).hasRepository ? repository : ownSensors
  const info = await ask(client, source, { command: source.info, data: [], what: 'the question for its SDRs' }, signal)
  // Of a repository: the number of records and the times of changes; of own sensors: their number and a change count.
  const version = info.toString('hex')
  const known = kept.get(client)
  if (known?.version === version) return known.records
  const records = await new Reader(client, source, signal).all()
  kept.set(client, { version, records })
  return records
}

class Reader {
  readonly #client: IpmiClient
  readonly #source: Source
  readonly #signal: AbortSignal
  #reservation: [number, number] = [0, 0]
  #reservations = 0
  #bytes = usualBytes

  constructor(client: IpmiClient, source: Source, signal: AbortSignal) {
    this.#client = client
    this.#source = source
    this.#signal = signal
  }

  async all(): Promise<SensorRecord[]> {
    await this.#reserve()
    const records: SensorRecord[] = []
    const seen = new Set<number>()
    for (let id = 0; id !== lastRecord && !seen.has(id) && seen.size < mostRecords; ) {
      seen.add(id)
      const { next, record } = await this.#record(id)
      const sensor = decodeSensorRecord(record)
      if (sensor) records.push(sensor)
      id = next
    }
    return records
  }

  /** From its beginning again when the reservation was lost in the middle. */
  async #record(id: number): Promise<{ next: number; record: Buffer }> {
    for (;;) {
      try {
        const head = await this.#part(id, 0, headerBytes)
        const whole = headerBytes + (head.bytes[4] ?? 0)
        const parts = [head.bytes]
        for (let at = headerBytes; at < whole; ) {
          const { bytes } = await this.#part(id, at, Math.min(this.#bytes, whole - at))
          if (bytes.length === 0) break
          parts.push(bytes)
          at += bytes.length
        }
        return { next: head.next, record: Buffer.concat(parts) }
      } catch (error) {
        if (!(error instanceof IpmiRefused)) throw error
        if (error.completion === completion.reservationLost && this.#reservations < mostReservations) {
          await this.#reserve()
          continue
        }
        const isTooMuch = [completion.tooManyBytes, 0xc8, 0xff].some(code => code === error.completion)
        if (!isTooMuch || this.#bytes <= leastBytes) throw error
        this.#bytes = Math.floor(this.#bytes / 2)
      }
    }
  }

  async #part(id: number, at: number, count: number): Promise<{ next: number; bytes: Buffer }> {
    const data = [...this.#reservation, id & 0xff, id >> 8, at, count]
    const what = `the question for SDR ${id}`
    const answer = await ask(this.#client, this.#source, { command: this.#source.get, data, what }, this.#signal)
    if (answer.length < 2 || (at === 0 && answer.length < 2 + headerBytes)) {
      throw new IpmiUnreadable(`The BMC at ${this.#client.bmc} answered ${what} with ${answer.length} bytes`)
    }
    return { next: answer.readUInt16LE(0), bytes: answer.subarray(2) }
  }

  async #reserve(): Promise<void> {
    this.#reservations += 1
    const what = 'the request to read its SDRs'
    const asked = { command: this.#source.reserve, data: [], what }
    const answer = await ask(this.#client, this.#source, asked, this.#signal).catch(error => {
      // Optional where a reader asks for whole records; there is nothing to lose then.
      if (error instanceof IpmiRefused && error.completion === completion.invalidCommand) return Buffer.alloc(2)
      throw error
    })
    this.#reservation = [answer[0] ?? 0, answer[1] ?? 0]
  }
}

function ask(
  client: IpmiClient,
  { netFn }: Source,
  asked: { command: number; data: number[]; what: string },
  signal: AbortSignal,
): Promise<Buffer> {
  return client.ask({ netFn, asUser: true, ...asked }, signal)
}
