/** The Redfish emulator over real HTTPS, in front of fake hardware: what a client sees, down to headers. */
import assert from 'node:assert/strict'
import { request as httpsRequest } from 'node:https'
import { after, before, describe, it } from 'node:test'
import { selfSigned } from '#lib/x509.ts'
import { type BmcFaults, failingService, lyingHardware, noBmcFaults } from '../faults.ts'
import { FakeHardware } from './fake-hardware.ts'
import { resetTypes } from './hardware.ts'
import { RedfishServer } from './server.ts'
import { redfishService } from './service.ts'

const account = { username: 'admin', password: 'pass:word' } // a colon in it must not cut it
const basic = { Authorization: `Basic ${Buffer.from('admin:pass:word').toString('base64')}` }
const system = '/redfish/v1/Systems/1'
const reset = `${system}/Actions/ComputerSystem.Reset`
const sessions = '/redfish/v1/SessionService/Sessions'
const cd = '/redfish/v1/Managers/1/VirtualMedia/Cd'

let nowMs = Date.now()
let hardware: FakeHardware
let faults: BmcFaults
let server: RedfishServer
const certificate = selfSigned({
  commonName: 'bmc',
  ipAddresses: ['127.0.0.1'],
  notBefore: new Date(Date.now() - 60_000),
  notAfter: new Date(Date.now() + 3_600_000),
  curve: 'p256',
})

async function start(): Promise<void> {
  hardware = new FakeHardware()
  faults = noBmcFaults()
  const service = redfishService({ hardware: lyingHardware(hardware, faults), account, now: () => nowMs })
  const { certPem, keyPem } = certificate
  server = new RedfishServer({
    service: failingService(service, faults),
    certPem,
    keyPem,
    address: '127.0.0.1',
    port: 0,
    accessLog: null,
  })
  await server.open()
}

interface Reply {
  status: number
  headers: Record<string, string | string[] | undefined>
  // biome-ignore lint/suspicious/noExplicitAny: a test reads the reply as any client does, and fails where it is wrong
  body: any
}

function call(method: string, path: string, body?: unknown, headers: Record<string, string> = basic): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      // The certificate is checked for real: it is its own authority and names 127.0.0.1.
      { host: '127.0.0.1', port: server.port, method, path, headers, ca: certificate.certPem, agent: false },
      async response => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: text === '' ? null : JSON.parse(text),
        })
      },
    )
    request.on('error', reject)
    request.end(body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body))
  })
}

const messageId = (reply: Reply): string => reply.body.error['@Message.ExtendedInfo'][0].MessageId.split('.').pop()

describe('Redfish service', () => {
  before(start)
  after(() => server.end())

  describe('authentication', () => {
    it('shows the service root, and nothing else, to anyone', async () => {
      const root = await call('GET', '/redfish/v1/', undefined, {})
      assert.equal(root.status, 200)
      assert.equal(root.headers['odata-version'], '4.0')
      assert.equal(root.body.Systems['@odata.id'], '/redfish/v1/Systems')
      assert.deepEqual((await call('GET', '/redfish', undefined, {})).body, { v1: '/redfish/v1/' })
      for (const path of ['/redfish/v1/Systems', system, sessions, cd, '/redfish/v1/no-such-thing']) {
        const reply = await call('GET', path, undefined, {})
        assert.equal(reply.status, 401, path)
        assert.equal(messageId(reply), 'NoValidSession')
        assert.match(String(reply.headers['www-authenticate']), /^Basic/)
      }
      assert.equal((await call('POST', reset, { ResetType: 'On' }, {})).status, 401)
      assert.deepEqual(hardware.resets, [])
    })

    it('refuses a wrong password and a wrong user', async () => {
      for (const pair of ['admin:wrong', 'root:pass:word', 'admin', '']) {
        const headers = { Authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
        assert.equal((await call('GET', system, undefined, headers)).status, 401, pair)
      }
      assert.equal((await call('GET', system, undefined, { 'X-Auth-Token': 'guess' })).status, 401)
    })

    it('gives a session, takes its token, and ends it', async () => {
      assert.equal((await call('POST', sessions, { UserName: 'admin', Password: 'no' }, {})).status, 401)
      const made = await call('POST', sessions, { UserName: account.username, Password: account.password }, {})
      assert.equal(made.status, 201)
      const token = { 'X-Auth-Token': String(made.headers['x-auth-token']) }
      const location = String(made.headers.location)
      assert.equal(made.body['@odata.id'], location)
      assert.equal((await call('GET', system, undefined, token)).status, 200)
      assert.ok(
        (await call('GET', sessions)).body.Members.some(
          (member: Record<string, string>) => member['@odata.id'] === location,
        ),
      )
      assert.equal(JSON.stringify(made.body).includes(token['X-Auth-Token']), false)
      assert.equal((await call('DELETE', location, undefined, token)).status, 204)
      assert.equal((await call('GET', system, undefined, token)).status, 401)
      assert.equal((await call('DELETE', location)).status, 404)
    })

    it('lets an unused session expire', async () => {
      const made = await call('POST', sessions, { UserName: account.username, Password: account.password }, {})
      const token = { 'X-Auth-Token': String(made.headers['x-auth-token']) }
      nowMs += 1700_000
      assert.equal((await call('GET', system, undefined, token)).status, 200)
      nowMs += 1700_000
      assert.equal((await call('GET', system, undefined, token)).status, 200, 'use keeps it alive')
      nowMs += 1801_000
      assert.equal((await call('GET', system, undefined, token)).status, 401)
    })

    it('has a limited number of sessions', async () => {
      const made: string[] = []
      let reply = await call('POST', sessions, { UserName: account.username, Password: account.password }, {})
      while (reply.status === 201 && made.length < 50) {
        made.push(String(reply.headers.location))
        reply = await call('POST', sessions, { UserName: account.username, Password: account.password }, {})
      }
      assert.equal(reply.status, 503)
      assert.equal(messageId(reply), 'SessionLimitExceeded')
      assert.equal(made.length, 16)
      for (const location of made) assert.equal((await call('DELETE', location)).status, 204)
    })
  })

  describe('resources', () => {
    it('answers every link that it gives', async () => {
      const seen = new Set<string>()
      const queue = ['/redfish/v1']
      for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
        if (seen.has(path)) continue
        seen.add(path)
        const reply = await call('GET', path)
        assert.equal(reply.status, 200, path)
        assert.equal(reply.body['@odata.id'], path)
        assert.ok(reply.headers.etag, `${path} has an ETag`)
        for (const [, uri] of JSON.stringify(reply.body).matchAll(/"@odata.id":"([^"]+)"/g)) queue.push(uri ?? '')
      }
      assert.ok(seen.size >= 20, `${seen.size} resources`)
    })

    it('describes the machine', async () => {
      const { body } = await call('GET', system)
      assert.equal(body.PowerState, 'Off')
      assert.equal(body.UUID, hardware.facts.uuid)
      assert.equal(body.MemorySummary.TotalSystemMemoryGiB, 2)
      assert.deepEqual(body.Actions['#ComputerSystem.Reset']['ResetType@Redfish.AllowableValues'], [...resetTypes])
      assert.deepEqual(body.Boot['BootSourceOverrideTarget@Redfish.AllowableValues'], ['None', 'Pxe', 'Hdd', 'Cd'])
      const nic = await call('GET', `${system}/EthernetInterfaces/NIC.2`)
      assert.equal(nic.body.MACAddress, '52:54:00:00:00:02')
      const drive = await call('GET', `${system}/Storage/1/Drives/0`)
      assert.equal(drive.body.CapacityBytes, 8 * 1024 ** 3)
    })

    it('names what does not exist and what is not allowed', async () => {
      const missing = await call('GET', '/redfish/v1/Systems/2')
      assert.equal(missing.status, 404)
      assert.equal(messageId(missing), 'ResourceMissingAtURI')
      assert.equal((await call('GET', `${system}/EthernetInterfaces/NIC.9`)).status, 404)
      const wrong = await call('DELETE', system)
      assert.equal(wrong.status, 405)
      assert.equal(wrong.headers.allow, 'GET, HEAD, PATCH')
      assert.equal((await call('GET', reset)).status, 405)
      const head = await call('HEAD', system)
      assert.deepEqual([head.status, head.body], [200, null])
    })

    it('takes no malformed body', async () => {
      for (const body of ['{', '[]', '"On"', 'null']) {
        const reply = await call('POST', reset, body)
        assert.equal(reply.status, 400, body)
        assert.equal(messageId(reply), 'MalformedJSON')
      }
      const big = await call('POST', reset, `{"ResetType":"${'x'.repeat(3 << 20)}"}`)
      assert.equal(big.status, 413)
    })
  })

  describe('power', () => {
    it('carries out each reset type, and refuses in "off" what needs power', async () => {
      for (const type of resetTypes) {
        for (const power of ['Off', 'On'] as const) {
          hardware.reset(power === 'On' ? 'On' : 'ForceOff')
          const before = hardware.resets.length
          const reply = await call('POST', reset, { ResetType: type })
          const refused = power === 'Off' && /Graceful|ForceRestart|PowerCycle|Nmi/.test(type)
          assert.equal(reply.status, refused ? 409 : 204, `${type} in ${power}`)
          assert.deepEqual(hardware.resets.slice(before), refused ? [] : [type])
          if (refused) assert.equal(messageId(reply), 'ResourceInStandby')
        }
      }
      hardware.reset('ForceOff')
      assert.equal((await call('GET', system)).body.PowerState, 'Off')
    })

    it('refuses unknown types and parameters by name', async () => {
      const unknown = await call('POST', reset, { ResetType: 'Explode' })
      assert.deepEqual([unknown.status, messageId(unknown)], [400, 'ActionParameterValueNotInList'])
      assert.match(unknown.body.error.message, /"Explode".*GracefulShutdown/)
      const missing = await call('POST', reset, {})
      assert.deepEqual([missing.status, messageId(missing)], [400, 'ActionParameterMissing'])
      const more = await call('POST', reset, { ResetType: 'On', Force: true })
      assert.deepEqual([more.status, messageId(more)], [400, 'ActionParameterUnknown'])
    })
  })

  describe('boot override', () => {
    const patch = (boot: unknown, headers: Record<string, string> = {}): Promise<Reply> =>
      call('PATCH', system, { Boot: boot }, { ...basic, ...headers })

    it('is set, used up by one boot when for one boot, and kept when continuous', async () => {
      const once = await patch({ BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once' })
      assert.equal(once.status, 200)
      assert.equal(once.body.Boot.BootSourceOverrideTarget, 'Pxe')
      await call('POST', reset, { ResetType: 'On' })
      assert.deepEqual(hardware.boot(), { enabled: 'Disabled', target: 'None' })
      await patch({ BootSourceOverrideTarget: 'Cd', BootSourceOverrideEnabled: 'Continuous' })
      await call('POST', reset, { ResetType: 'ForceRestart' })
      assert.deepEqual(hardware.boot(), { enabled: 'Continuous', target: 'Cd' })
      await patch({ BootSourceOverrideEnabled: 'Disabled' })
      assert.deepEqual(hardware.boot(), { enabled: 'Disabled', target: 'None' })
    })

    it('takes a change for the state that the client has read, and no other', async () => {
      const etag = String((await call('GET', system)).headers.etag)
      assert.equal((await call('GET', system, undefined, { ...basic, 'If-None-Match': etag })).status, 304)
      const first = await patch({ BootSourceOverrideTarget: 'Hdd' }, { 'If-Match': etag })
      assert.equal(first.status, 200)
      assert.notEqual(first.headers.etag, etag)
      const second = await patch({ BootSourceOverrideTarget: 'Cd' }, { 'If-Match': etag })
      assert.deepEqual([second.status, messageId(second)], [412, 'PreconditionFailed'])
      assert.equal(hardware.boot().target, 'Hdd')
      assert.equal((await patch({ BootSourceOverrideTarget: 'Cd' }, { 'If-Match': '*' })).status, 200)
    })

    it('refuses another boot mode, saying why', async () => {
      assert.equal((await patch({ BootSourceOverrideMode: 'UEFI' })).status, 200)
      const legacy = await patch({ BootSourceOverrideTarget: 'Pxe', BootSourceOverrideMode: 'Legacy' })
      assert.deepEqual([legacy.status, messageId(legacy)], [400, 'PropertyValueConflict'])
      assert.match(legacy.body.error.message, /UEFI firmware only/)
      assert.notEqual(hardware.boot().target, 'Pxe')
    })

    it('refuses what it does not know', async () => {
      const cases: [unknown, string][] = [
        [{ Boot: { BootSourceOverrideTarget: 'Floppy' } }, 'PropertyValueNotInList'],
        [{ Boot: { BootSourceOverrideTarget: 'UefiHttp' } }, 'PropertyValueNotInList'],
        [{ Boot: { Order: ['x'] } }, 'PropertyUnknown'],
        [{ Boot: { HttpBootUri: 'http://10.0.0.1/x.iso' } }, 'PropertyUnknown'],
        [{ Boot: 'Pxe' }, 'PropertyValueTypeError'],
        [{}, 'PropertyValueTypeError'],
        [{ PowerState: 'On' }, 'PropertyNotWritable'],
        [{ Colour: 'red' }, 'PropertyUnknown'],
      ]
      for (const [body, id] of cases) {
        const reply = await call('PATCH', system, body)
        assert.deepEqual([reply.status, messageId(reply)], [400, id], JSON.stringify(body))
      }
    })
  })

  it('inserts and ejects virtual media', async () => {
    const insert = `${cd}/Actions/VirtualMedia.InsertMedia`
    const eject = `${cd}/Actions/VirtualMedia.EjectMedia`
    assert.equal((await call('GET', cd)).body.Inserted, false)
    assert.equal((await call('POST', insert, { Image: 'http://127.0.0.1/boot.iso', Inserted: true })).status, 204)
    const { body } = await call('GET', cd)
    assert.deepEqual([body.Inserted, body.Image, body.ImageName], [true, 'http://127.0.0.1/boot.iso', 'boot.iso'])
    assert.equal((await call('POST', insert, { Image: 'http://127.0.0.1/other.iso' })).status, 400)
    assert.equal((await call('POST', eject, {})).status, 204)
    assert.equal((await call('GET', cd)).body.Image, null)
    assert.equal(messageId(await call('POST', insert, {})), 'ActionParameterMissing')
    assert.equal((await call('POST', insert, { Image: 'http://127.0.0.1/a.iso', WriteProtected: false })).status, 400)
  })

  describe('faults', () => {
    it('answers 503 as often as told', async () => {
      faults.unavailableCount = 2
      const replies = [await call('GET', system), await call('GET', system), await call('GET', system)]
      assert.deepEqual(
        replies.map(reply => reply.status),
        [503, 503, 200],
      )
      assert.equal(replies[0]?.headers['retry-after'], '1')
    })

    it('is slow, and lies about power', async () => {
      Object.assign(faults, noBmcFaults(), { delayMs: 300, power: 'On' })
      hardware.reset('ForceOff')
      const startedAtMs = Date.now()
      assert.equal((await call('GET', system)).body.PowerState, 'On')
      assert.ok(Date.now() - startedAtMs >= 290)
      Object.assign(faults, noBmcFaults(), { ignoreReset: true, ignoreBoot: true })
      assert.equal((await call('POST', reset, { ResetType: 'On' })).status, 204)
      assert.equal(hardware.power(), 'Off')
      Object.assign(faults, noBmcFaults())
    })

    it('can be unplugged and plugged again at the same port', async () => {
      const port = server.port
      await server.close()
      await assert.rejects(call('GET', system), { code: 'ECONNREFUSED' })
      await server.open()
      assert.equal(server.port, port)
      assert.equal((await call('GET', system)).status, 200)
    })
  })
})
