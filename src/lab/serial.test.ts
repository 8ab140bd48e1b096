/** Cutting a terminal's bytes into lines, and a serial port with its logs and clients. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LineReader, SerialPort } from './serial.ts'
import { socketPath } from './sockets.ts'

describe('LineReader', () => {
  const read = (...chunks: string[]): string[] => {
    const lines: string[] = []
    const reader = new LineReader(line => lines.push(line))
    for (const chunk of chunks) reader.push(Buffer.from(chunk, 'latin1'))
    reader.flush()
    return lines
  }

  it('gives plain lines, without colours and empty ones', () => {
    assert.deepEqual(read('\x1b[0;1miPXE\x1b[0m 1.0\r\n\r\n\x1b[2J\x1bcReady  \r\n'), ['iPXE 1.0', 'Ready'])
  })

  it('takes a cursor that is moved for the end of a line', () => {
    assert.deepEqual(read('\x1b[01;01HBdsDxe: loading\x1b[02;01Hnext'), ['BdsDxe: loading', 'next'])
  })

  it('does not care where the bytes are cut', () => {
    const text = '\x1b[31mé first\x1b[0m\r\nsecond \x1b[5;1Hthird\n'
    const bytes = Buffer.from(text)
    const whole: string[] = []
    new LineReader(line => whole.push(line)).push(bytes)
    const single: string[] = []
    const reader = new LineReader(line => single.push(line))
    for (const byte of bytes) reader.push(Buffer.of(byte))
    assert.deepEqual(whole, ['é first', 'second', 'third'])
    assert.deepEqual(single, whole)
  })

  it('gives a prompt that nothing follows, and cuts a line without end', async () => {
    const lines: string[] = []
    const reader = new LineReader(line => lines.push(line))
    reader.push(Buffer.from('host login: '))
    assert.equal(lines.length, 0)
    await sleep(400)
    assert.deepEqual(lines, ['host login:'])
    reader.push(Buffer.alloc(5000, 'x'))
    assert.deepEqual(lines.slice(1), ['x'.repeat(5000)])
  })
})

describe('SerialPort', () => {
  it('keeps every byte, stamps lines, and joins clients with the machine', async () => {
    const top = await mkdtemp(join(tmpdir(), 'ferrite-serial-'))
    // The socket's path is longer than the kernel takes: it is reached through the folder's handle.
    const folder = join(top, 'deep'.repeat(25))
    await mkdir(folder)
    const files = { rawLog: join(folder, 'raw'), timedLog: join(folder, 'timed') }
    const port = new SerialPort(files)
    const path = join(folder, 'console.sock')
    assert.ok(path.length > 107)
    await port.listen(path)
    const machine = new PassThrough()
    port.attach(machine, 'power on #1')
    const client = connect(socketPath(path))
    client.on('error', () => {}) // the port closes on what it has not read
    await once(client, 'connect')
    client.write('ls\n')
    const [typed] = await once(machine, 'data')
    assert.equal(String(typed), 'ls\n')
    const bytes = Buffer.from('\x1b[1mhello\x1b[0m\r\n\xff')
    port.write(bytes)
    const [shown] = await once(client, 'data')
    assert.deepEqual(shown, bytes)
    port.detach('power off')
    client.write('nobody hears\n')
    await port.close()
    assert.deepEqual(await readFile(files.rawLog), bytes)
    const timed = (await readFile(files.timedLog, 'utf8')).trimEnd().split('\n')
    assert.deepEqual(
      timed.map(line => line.replace(/^\S+Z +\d+\.\d\d /, '')),
      ['--- power on #1', 'hello', Buffer.from('\xff').toString(), '--- power off'],
    )
    await rm(top, { recursive: true })
  })
})
