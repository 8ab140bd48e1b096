import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { findService, type MdnsTarget, readMessage, resolveByMdns } from './mdns.ts'
import { defaultOptions } from './options.ts'

const quiet = { info() {}, warn() {}, error() {}, debug() {} }

const u16 = (...values: number[]) => Buffer.from(values.flatMap(value => [value >> 8, value & 0xff]))
const text = (...entries: string[]) => Buffer.concat(entries.map(one => Buffer.from([one.length, ...Buffer.from(one)])))
const name = (dotted: string) => Buffer.concat([text(...dotted.split('.')), Buffer.from([0])])

function record(owner: Buffer, type: number, data: Buffer): Buffer {
  return Buffer.concat([owner, u16(type, 1, 0, 120, data.length), data])
}

const message = (...records: Buffer[]) => Buffer.concat([u16(0, 0x8400, 0, records.length, 0, 0), ...records])

interface Published {
  host?: string
  port?: number
  texts?: string[]
  service?: string
}

/** As a responder sends it: the first name written out, the service's own by a pointer to where it stands. */
function published({ host = 'api.local', port = 6385, texts = [], service = 'baremetal' }: Published = {}): Buffer {
  const type = `${service}._openstack._tcp.local`
  const instance = Buffer.concat([text('ironic'), u16(0xc00c)]) // 12: where the answer's first name begins
  return message(
    record(name(type), 12, instance),
    record(instance, 33, Buffer.concat([u16(0, 0, port), name(host)])),
    record(instance, 16, text(...texts)),
    record(name(host), 28, Buffer.from('fe800000000000000000000000000001', 'hex')),
    record(name(host), 1, Buffer.from([127, 0, 0, 1])),
    record(name(host), 1, Buffer.from([192, 0, 2, 7])),
  )
}

/** Answers from the `from`-th question on. */
async function responder(answer: Buffer[], from = 1): Promise<{ target: MdnsTarget; asked: Buffer[]; close(): void }> {
  const socket = createSocket('udp4')
  const asked: Buffer[] = []
  socket.on('message', (question, { address, port }) => {
    asked.push(question)
    if (asked.length >= from) for (const one of answer) socket.send(one, port, address)
  })
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address() as AddressInfo // not a pipe's name
  return { target: { address: '127.0.0.1', port }, asked, close: () => socket.close() }
}

test('the API by its address on the local network, with port, path and protocol of its text', async () => {
  const nonsense = [Buffer.from('hello'), Buffer.alloc(12, 0xff), published({ service: 'printer' })]
  const { target, asked, close } = await responder([
    ...nonsense,
    published({ texts: ['path=/baremetal', 'protocol=http'] }),
  ])
  assert.equal((await findService('baremetal._openstack._tcp.local', target)).url, 'http://192.0.2.7:6385/baremetal')
  // One question: PTR, of the internet, to be answered to us alone.
  const expected = Buffer.concat([u16(0, 0, 1, 0, 0, 0), name('baremetal._openstack._tcp.local'), u16(12, 0x8001)])
  assert.ok(asked[0]?.equals(expected))
  close()
})

test('a name of the internet stays; usual ports are left out; port 80 means http', async () => {
  for (const [port, url] of [
    [80, 'http://api.example.org'],
    [443, 'https://api.example.org'],
    [6385, 'https://api.example.org:6385'],
  ] as const) {
    const { target, close } = await responder([published({ host: 'api.example.org', port })])
    assert.equal((await findService('baremetal._openstack._tcp.local', target)).url, url)
    close()
  }
})

test('options: URLs that say mdns are replaced, and what is published counts as far as it is allowed', async () => {
  const texts = ['protocol=http', 'ipa_ntp_server=192.0.2.1', 'ipa_debug=1', 'ipa_inspection_callback_url=ftp://x']
  const { target, close } = await responder([
    published({ texts }),
    published({ service: 'baremetal-introspection', texts }),
  ])
  const options = { ...defaultOptions(), apiUrls: ['mdns'], inspectionUrls: ['mdns'] }
  await resolveByMdns(options, quiet, target)
  assert.deepEqual(options.apiUrls, ['http://192.0.2.7:6385'])
  assert.deepEqual(options.inspectionUrls, ['http://192.0.2.7:6385/v1/continue'])
  assert.deepEqual([options.ntpServer, options.debug], ['192.0.2.1', false])

  const allowed = { ...defaultOptions(), useMdns: true }
  await resolveByMdns(allowed, quiet, target)
  assert.deepEqual(allowed.apiUrls, ['http://192.0.2.7:6385'])
  close()
})

test('nobody is asked unless the options say so; nobody there is an error only for those who insist', async () => {
  const { target, asked, close } = await responder([])
  await resolveByMdns({ ...defaultOptions(), apiUrls: ['http://a'] }, quiet, target)
  await resolveByMdns({ ...defaultOptions(), apiUrls: ['http://a'], useMdns: true }, quiet, target)
  await resolveByMdns(defaultOptions(), quiet, target)
  assert.equal(asked.length, 0)
  const insisting = resolveByMdns({ ...defaultOptions(), apiUrls: ['mdns'] }, quiet, target)
  const allowing = resolveByMdns({ ...defaultOptions(), useMdns: true }, quiet, target)
  await assert.rejects(insisting, { type: 'ServiceLookupFailure', message: /3 times, nobody answered/ })
  await allowing
  assert.equal(asked.length, 6)
  close()
})

test('an answer that comes late is taken', async () => {
  const { target, close } = await responder([published()], 2)
  assert.equal((await findService('baremetal._openstack._tcp.local', target)).url, 'https://192.0.2.7:6385')
  close()
})

test('no message, however it is cut or bent, does more than be refused', () => {
  const whole = published({ texts: ['path=/x'] })
  for (let length = 0; length < whole.length; length++) {
    try {
      readMessage(whole.subarray(0, length))
    } catch (error) {
      assert.ok(error instanceof RangeError, String(error))
    }
    for (const byte of [0, 0x3f, 0xc0, 0xff]) {
      const bent = Buffer.from(whole)
      bent[length] = byte
      try {
        readMessage(bent)
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error))
      }
    }
  }
})
