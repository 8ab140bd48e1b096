/**
 * Programs that stand in for tools of the ramdisk whose hardware is not there, put first on PATH for as long as a test
 * runs. Each is a few lines of bash that hand their arguments to a function of the test and print what it answers, so that
 * a call costs milliseconds and its state is an ordinary variable. For tests.
 */
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, delimiter, join } from 'node:path'

/** What it prints to standard output. To fail, it throws a `Failure`. */
export type FakeProgram = (args: string[]) => string | Promise<string> | undefined

/** The end of a fake program that fails: what it prints to standard error, and its status. */
export class Failure extends Error {
  readonly status: number

  constructor(text: string, status = 1) {
    super(text)
    this.status = status
  }
}

export interface FakePrograms {
  /** To be put before PATH of other processes; this process has it already. */
  readonly folder: string
  /** Adds a program, or replaces it. */
  add(name: string, program: FakeProgram): void
  /** Every call of any of them: name and arguments, with a blank in between. */
  readonly calls: string[]
  remove(): Promise<void>
}

export async function fakePrograms(): Promise<FakePrograms> {
  const folder = mkdtempSync(join(tmpdir(), 'ferrite-fakes-'))
  const before = process.env.PATH ?? ''
  process.env.PATH = `${folder}${delimiter}${before}`
  const programs = new Map<string, FakeProgram>()
  const calls: string[] = []

  const answer = async (socket: Socket) => {
    let received = Buffer.alloc(0)
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      received = Buffer.concat([received, chunk])
      const [count = '', name = '', ...args] = received.toString().split('\0')
      if (args.length <= Number(count)) continue
      args.pop()
      calls.push([name, ...args].join(' '))
      socket.end(await ending(() => programs.get(name)?.(args)))
      return
    }
  }
  const server = createServer(socket => void answer(socket).catch(() => socket.destroy()))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // TCP, so not a pipe's name

  return {
    folder,
    calls,
    add: (name, program) => {
      programs.set(name, program)
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, name), client(port))
      chmodSync(join(folder, name), 0o755)
    },
    remove: async () => {
      process.env.PATH = before
      rmSync(folder, { recursive: true, force: true })
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** Writes the same byte to the whole of a block device, as a secure erase may. */
export function fillDevice(device: string, byte: number): void {
  const sizeBytes = 512 * Number(readFileSync(`/sys/class/block/${basename(device)}/size`, 'utf8'))
  const block = Buffer.alloc(1024 * 1024, byte)
  const handle = openSync(device, 'r+')
  for (let at = 0; at < sizeBytes; at += block.length) {
    writeSync(handle, block, 0, Math.min(block.length, sizeBytes - at), at)
  }
  closeSync(handle)
}

/** Standard output, standard error and status, each ended by a zero byte. */
async function ending(call: () => ReturnType<FakeProgram>): Promise<string> {
  try {
    return [(await call()) ?? '', '', '0', ''].join('\0')
  } catch (error) {
    const status = error instanceof Failure ? error.status : 99
    return ['', error instanceof Error ? error.message : String(error), String(status), ''].join('\0')
  }
}

const client = (port: number) => `#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/${port}
printf '%s\\0' "$#" "\${0##*/}" "$@" >&3
IFS= read -r -d '' out <&3
IFS= read -r -d '' err <&3
IFS= read -r -d '' status <&3
printf '%s' "$out"
[ -z "$err" ] || printf '%s\\n' "$err" >&2
exit "$status"
`
