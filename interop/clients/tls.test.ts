/**
 * The real clients over TLS: they are told of the authority by a file (OS_CACERT), trust nobody else, and go on after the
 * service has got a certificate of another authority while it ran.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import { forClients } from '#lab/host-packages.ts'
import { Baremetal } from './baremetal.ts'
import { type Authority, makeAuthority, serve } from './certificates.ts'
import { buildGophercloud, whyNoGo } from './go.ts'
import { whyMissing } from './packages.ts'
import { bareEnvironment, programDirectory } from './programs.ts'
import { conductor, type RunningService, startService } from './service.ts'

const run = promisify(execFile)

const noGo = await whyNoGo()

describe('TLS', { skip: await whyMissing(forClients) }, () => {
  let directory: string
  let service: RunningService
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ferrite-tls-'))
    const authority = await makeAuthority(directory, 'first')
    // Two nodes are a page, so that clients follow links to the next.
    service = await startService({
      tls: { authority, served: await serve(directory, 'api', authority) },
      config: { api: { max_limit: 2 } },
    })
    for (const name of ['n1', 'n2', 'n3']) await baremetal().ok(`node create --driver fake-hardware --name ${name}`)
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  /** The environment of a client that trusts this authority; null: those of the system alone. */
  function environment(trusts?: Authority | null): Readonly<Record<string, string>> {
    const { OS_CACERT: first = '', ...rest } = service.environment
    return trusts === null ? rest : { ...rest, OS_CACERT: trusts?.certFile ?? first }
  }
  const baremetal = (trusts?: Authority | null) => new Baremetal(service).as(environment(trusts))
  const openstack = (trusts?: Authority | null) =>
    new Baremetal(service, ['openstack', 'baremetal']).as(environment(trusts))

  async function checkClients(trusts?: Authority): Promise<void> {
    for (const client of [baremetal(trusts), openstack(trusts)]) {
      const names = (await client.list('node list --limit 0')).map(row => row.name)
      assert.deepEqual(names, ['n1', 'n2', 'n3'])
      const node = await client.show('node show n1')
      assert.equal(node.name, 'n1')
    }
  }
  async function checkRefused(trusts: Authority | null): Promise<void> {
    for (const client of [baremetal(trusts), openstack(trusts)])
      await client.fails(/CERTIFICATE_VERIFY_FAILED/, 'node list')
  }

  test('the command line clients: with the authority all is as without TLS, without it nothing is sent', async () => {
    assert.match(service.endpoint, /^https:/)
    await checkClients()
    await checkRefused(null)
  })

  test('the program of the service itself', async () => {
    const ferrite = (env: Readonly<Record<string, string>>) =>
      run(join(import.meta.dirname, '../../ferrite'), ['node', 'list', '--limit', '0', '-f', 'json'], {
        env: { ...bareEnvironment, PATH: process.env.PATH, ...env },
      })
    assert.match((await ferrite(environment())).stdout, /"n3"/)
    await assert.rejects(ferrite(environment(null)), /authority|--os-cacert/)
  })

  test('openstacksdk drives every call', async () => {
    const authority = await makeAuthority(directory, 'of-sdk')
    const served = await serve(directory, 'sdk', authority)
    await using own = await startService({ tls: { authority, served } })
    const script = join(import.meta.dirname, 'sdk/main.py')
    const env = { ...bareEnvironment, PYTHONDONTWRITEBYTECODE: '1', ...own.environment }
    await run(join(programDirectory, 'python3'), ['-W', 'ignore', script, conductor], { env, timeout: 300_000 })
  })

  test('gophercloud drives its calls, and trusts nobody else', { skip: noGo }, async () => {
    const program = await buildGophercloud(directory)
    const authority = await makeAuthority(directory, 'of-gophercloud')
    const served = await serve(directory, 'gophercloud', authority)
    await using own = await startService({ tls: { authority, served } })
    const env = { ...bareEnvironment, ...own.environment }
    // Go reads the authorities of the system from this file.
    await run(program, [conductor], { env: { ...env, SSL_CERT_FILE: authority.certFile }, timeout: 300_000 })
    await assert.rejects(
      run(program, [conductor], { env, timeout: 300_000 }),
      /certificate signed by unknown authority/,
    )
  })

  test('a new certificate of another authority counts for new connections, without a restart', async () => {
    const second = await makeAuthority(directory, 'second')
    await serve(directory, 'api', second)
    const giveUpMs = Date.now() + 60_000
    while ((await issuer(service.endpoint)) !== 'second') {
      assert.ok(Date.now() < giveUpMs, 'it still serves with its first certificate')
      await sleep(200)
    }
    await checkClients(second)
    const first = { ...second, certFile: join(directory, 'first.pem') }
    await checkRefused(first)
  })
})

/** Who signed the certificate that the service shows now. */
async function issuer(endpoint: string): Promise<unknown> {
  const { port } = new URL(endpoint)
  const socket = connect({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false })
  try {
    await once(socket, 'secureConnect')
    return socket.getPeerCertificate().issuer.CN
  } finally {
    socket.destroy()
  }
}
