/** `ferrite sim` as a program: a service of its own, a service it is pointed at, and command lines that make no sense. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { freePorts, ServiceProcess } from '../src/lab/service-process.ts'
import type { Report } from '../src/sim/simulate.ts'

const main = resolve(import.meta.dirname, '../src/main.ts')

function sim(...options: string[]): Promise<{ status: number; out: string; err: string }> {
  return new Promise(done => {
    const args = ['--disable-warning=ExperimentalWarning', main, 'sim', ...options]
    execFile(process.execPath, args, { timeout: 180_000 }, (error, out, err) => {
      done({ status: error ? Number(error.code ?? -1) : 0, out, err })
    })
  })
}

describe('ferrite sim', { concurrency: true }, () => {
  test('takes a fleet with flaky BMCs through all phases, while others stand', async () => {
    const { status, out, err } = await sim(
      ...['--nodes', '6', '--standing', '2', '--brisk', '--seed', '7', '--json', '--bmc-failures', '0.02'],
      ...['--heartbeat-interval', '0.5', '--phases', 'enrol,manage,inspect,clean,deploy,undeploy,remove'],
    )
    assert.equal(status, 0, err + out)
    const report = JSON.parse(out) as Report // what simulate() returned
    const counts = report.phases.map(phase => [phase.phase, phase.count, phase.failed])
    const [all, going] = [6, 4]
    assert.deepEqual(counts, [
      ['enrol', all, 0],
      ['manage', all, 0],
      ['inspect', going, 0],
      ['clean', going, 0],
      ['deploy', going, 0],
      ['undeploy', going, 0],
      ['remove', all, 0],
    ])
    const deploy = report.phases.find(phase => phase.phase === 'deploy') ?? assert.fail('there is none')
    assert.ok((deploy.p50_ms ?? 0) > 0 && (deploy.p50_ms ?? 0) <= (deploy.p99_ms ?? 0))
    assert.ok(deploy.per_hour > 0 && deploy.heartbeats.count > 0)
    assert.ok((deploy.service?.cpu_ms_per_node ?? 0) > 0 && (report.service_peak_rss_mib ?? 0) > 50)
    assert.equal(report.machines.instance_boots, going)
  })

  test('drives a service that runs already, and leaves nothing there', async t => {
    const directory = await mkdtemp(join(tmpdir(), 'ferrite-simulator-'))
    t.after(() => rm(directory, { recursive: true, force: true }))
    const [port = 0, httpPort = 0] = await freePorts(2)
    const service = await ServiceProcess.start({
      directory,
      endpoint: `http://127.0.0.1:${port}`,
      config: {
        DEFAULT: { host: 'elsewhere', my_ip: '127.0.0.1', state_path: join(directory, 'state') },
        api: { host_ip: '127.0.0.1', port },
        ferrite: { http_host: '127.0.0.1', http_port: httpPort },
      },
    })
    t.after(() => service.stop())
    const { status, out, err } = await sim('--nodes', '2', '--brisk', '--quiet', '--service', service.endpoint)
    assert.equal(status, 0, err + out)
    assert.match(out, /^deploy +2 +0 /m)
    assert.match(out, /4 power ons|6 power ons|8 power ons/)
    assert.deepEqual(await service.api.list('/v1/nodes', 'nodes', { query: {}, limit: 0 }), [])
  })

  test('counts what fails, and says so with its status', async () => {
    const { status, out } = await sim('--nodes', '1', '--brisk', '--quiet', '--step-failures', '1')
    assert.equal(status, 1)
    assert.match(out, /clean: sim-1: clean failed: .*Simulated failure of step/)
  })

  test('refuses a command line that makes no sense', async () => {
    for (const [words, expected] of [
      [['--phases', 'deploy,dance'], /--phases: found "dance", expected some of enrol/],
      [['--bmc-failures', '5'], /--bmc-failures: found "5", expected a number from 0 to 1/],
      [['--set', 'port=1'], /--set: found "port=1", expected SECTION.OPTION=VALUE/],
      [['--nodes', 'many'], /--nodes: found "many"/],
    ] as const) {
      const { status, err } = await sim(...words)
      assert.equal(status, 1)
      assert.match(err, expected)
    }
  })
})
