import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { InvalidConfig, loadConfig, openConfig, takeConfigFiles } from './load.ts'

let dir: string
let count = 0
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ferrite-config-'))
})
after(() => rm(dir, { recursive: true, force: true }))

async function file(text: string, name = `c${count++}.conf`): Promise<string> {
  const path = join(dir, name)
  await writeFile(path, text)
  return path
}

const load = async (...texts: string[]) => loadConfig({ files: await Promise.all(texts.map(text => file(text))) })

async function problemsOf(text: string): Promise<string[]> {
  const path = await file(text)
  try {
    await loadConfig({ files: [path] })
  } catch (error) {
    assert.ok(error instanceof InvalidConfig)
    return error.problems.map(problem => problem.replaceAll(path, 'FILE'))
  }
  return []
}

test('no configuration at all gives a configuration that can start', async () => {
  const config = await loadConfig()
  assert.equal(config.DEFAULT.auth_strategy, 'noauth')
  assert.equal(config.api.port, 6385)
  assert.equal(config.DEFAULT.state_path, resolve('var/ferrite'))
  assert.equal(config.deploy.http_root, resolve('var/ferrite/httpboot'))
  assert.equal(config.database.connection, `sqlite:///${resolve('var/ferrite/ferrite.sqlite')}`)
  assert.equal(config.deploy.http_url, `http://${config.DEFAULT.my_ip}:8090`)
  assert.equal(config.ferrite.api_url, `http://${config.DEFAULT.my_ip}:6385`)
  assert.deepEqual(config.inspector.hooks, ['ramdisk-error', 'validate-interfaces', 'ports', 'architecture'])
})

describe('good files', () => {
  const cases: [string, string, (config: Awaited<ReturnType<typeof loadConfig>>) => unknown, unknown][] = [
    ['equals sign', '[deploy]\nfast_track = yes', c => c.deploy.fast_track, true],
    ['colon', '[deploy]\nfast_track: On', c => c.deploy.fast_track, true],
    ['the first of both signs counts', '[deploy]\nhttp_url = http://h:80/x', c => c.deploy.http_url, 'http://h:80/x'],
    ['no spaces', '[deploy]\nfast_track=1', c => c.deploy.fast_track, true],
    ['comments', '# a\n[deploy]\n; b\nfast_track = true\n#fast_track = false', c => c.deploy.fast_track, true],
    [
      'no comment after a value',
      '[DEFAULT]\nhttp_basic_auth_user_file = a # b',
      c => c.DEFAULT.http_basic_auth_user_file,
      'a # b',
    ],
    ['quotes', '[pxe]\nkernel_append_params = "a b"', c => c.pxe.kernel_append_params, 'a b'],
    ['inner quotes stay', '[pxe]\nkernel_append_params = a "b"', c => c.pxe.kernel_append_params, 'a "b"'],
    [
      'continuation',
      '[DEFAULT]\nenabled_hardware_types = redfish,\n  ipmi',
      c => c.DEFAULT.enabled_hardware_types,
      ['redfish', 'ipmi'],
    ],
    ['empty line ends a value', '[pxe]\nkernel_append_params = a\n\n# c\n', c => c.pxe.kernel_append_params, 'a'],
    ['CRLF and BOM', '\uFEFF[deploy]\r\nfast_track = true\r\n', c => c.deploy.fast_track, true],
    ['last of a repeated key wins', '[deploy]\nfast_track = true\nfast_track = false', c => c.deploy.fast_track, false],
    [
      'a repeated section goes on',
      '[deploy]\nfast_track = true\n[api]\n[deploy]\nfast_track_timeout = 7',
      c => [c.deploy.fast_track, c.deploy.fast_track_timeout],
      [true, 7],
    ],
    [
      'repeatable dictionaries add up',
      '[conductor]\nclean_step_priority_override = deploy.a:1\nclean_step_priority_override = deploy.b:2,raid.c:3',
      c => c.conductor.clean_step_priority_override,
      { 'deploy.a': '1', 'deploy.b': '2', 'raid.c': '3' },
    ],
    [
      'repeatable texts',
      '[inspector]\npci_device_alias = {"a": 1, "b": 2}\npci_device_alias = {}',
      c => c.inspector.pci_device_alias,
      ['{"a": 1, "b": 2}', '{}'],
    ],
    [
      'dictionary with URLs',
      '[conductor]\ndeploy_kernel_by_arch = x86_64:http://a/k, aarch64:http://b/k',
      c => c.conductor.deploy_kernel_by_arch,
      { x86_64: 'http://a/k', aarch64: 'http://b/k' },
    ],
    [
      'quoted list item',
      '[DEFAULT]\nenabled_hardware_types = "a,b",c',
      c => c.DEFAULT.enabled_hardware_types,
      ['a,b', 'c'],
    ],
    ['empty list', '[conductor]\nfile_url_allowed_paths =', c => c.conductor.file_url_allowed_paths, []],
    ['octal', '[pxe]\nfile_permission = 0600', c => c.pxe.file_permission, 0o600],
    [
      'unset again',
      '[conductor]\ndeploy_kernel = <None>\ndeploy_ramdisk =',
      c => [c.conductor.deploy_kernel, c.conductor.deploy_ramdisk],
      [null, null],
    ],
    [
      'substitution in the own group, then DEFAULT',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the notation of oslo.config
      '[DEFAULT]\nmy_ip = 192.0.2.1\n[deploy]\nhttp_url = http://$my_ip/${http_image_subdir}',
      c => c.deploy.http_url,
      'http://192.0.2.1/agent_images',
    ],
    [
      'substitution across groups',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the notation of oslo.config
      '[api]\nport = 1\n[pxe]\nkernel_append_params = p=${api.port} $api.port',
      c => c.pxe.kernel_append_params,
      'p=1 1',
    ],
    ['dollar signs', '[cifs]\npassword = a$$b\\$c$ d$', c => c.cifs.password, 'a$b$c$ d$'],
    ['hooks of Ironic', '[inspector]\nhooks = $default_hooks,parse-lldp', c => c.inspector.hooks.at(-1), 'parse-lldp'],
    ['deprecated name', '[pxe]\npxe_append_params = quiet', c => c.pxe.kernel_append_params, 'quiet'],
    [
      'boolean or path',
      '[DEFAULT]\nwebserver_verify_ca = /ca.pem\n[agent]\nverify_ca = False',
      c => [c.DEFAULT.webserver_verify_ca, c.agent.verify_ca],
      ['/ca.pem', false],
    ],
    [
      'IPv6 address in derived URLs',
      '[DEFAULT]\nmy_ip = 2001:db8::1',
      c => c.deploy.http_url,
      'http://[2001:db8::1]:8090',
    ],
    ['section in other case', '[Deploy]\nfast_track = true', c => c.deploy.fast_track, true],
  ]
  for (const [name, text, pick, expected] of cases) {
    test(name, async () => assert.deepEqual(pick(await load(text)), expected))
  }

  test('a later file wins, and leaves the rest alone', async () => {
    const config = await load('[api]\nport = 1\nmax_limit = 5', '[api]\nport = 2')
    assert.deepEqual([config.api.port, config.api.max_limit], [2, 5])
  })

  test('environment over files, overrides over environment', async () => {
    const files = [await file('[api]\nport = 1\n[DEFAULT]\ndebug = false')]
    const env = { OS_API__PORT: '2', OS_DEFAULT__DEBUG: 'true', OS_AUTH_URL: 'x', PATH: '/bin' }
    const config = await loadConfig({ files, env })
    assert.deepEqual([config.api.port, config.DEFAULT.debug], [2, true])
    const over = await loadConfig({ files, env, overrides: { api: { port: 3 }, cifs: { password: '$x$$' } } })
    assert.deepEqual([over.api.port, over.cifs.password], [3, '$x$$'])
  })
})

describe('bad files name file, section, line, what was found and what was expected', () => {
  const cases: [string, string, RegExp[]][] = [
    [
      'unknown section',
      '[deplyo]\nfast_track = true\nx = y',
      [/^FILE line 1, \[deplyo\]: found an unknown section, .*did you mean deploy\?$/],
    ],
    [
      'unknown option',
      '[deploy]\n\nfast_trak = true',
      [
        /^FILE line 3, \[deploy\] fast_trak: found an unknown option, expected one of \[deploy\]; did you mean fast_track\?$/,
      ],
    ],
    ['option of another section', '[deploy]\npermitted_image_formats = raw', [/did you mean that of \[conductor\]\?$/]],
    [
      'boolean',
      '[deploy]\nfast_track = maybe',
      [/^FILE line 2, \[deploy\] fast_track: found "maybe", expected true or false/],
    ],
    ['integer', '[api]\nmax_limit = 1k', [/found "1k", expected an integer of at least 1$/]],
    ['range', '[deploy]\nfast_track_timeout = 301', [/found "301", expected an integer from 0 to 300$/]],
    ['port', '[api]\nport = 70000', [/expected an integer from 0 to 65535$/]],
    ['float', '[DEFAULT]\nraw_image_growth_factor = 0.5', [/expected a number of at least 1$/]],
    [
      'choice',
      '[agent]\nimage_download_source = htp',
      [/found "htp", expected one of http, local, swift; did you mean http\?$/],
    ],
    ['list of choices', '[conductor]\npermitted_image_formats = raw,qcow', [/found "qcow"; did you mean qcow2\?$/]],
    ['empty list item', '[DEFAULT]\nenabled_hardware_types = a,,b', [/found nothing between two commas$/]],
    ['relative path', '[conductor]\nfile_url_allowed_paths = /a,b', [/expected absolute paths .*found "b"$/]],
    ['path with dots', '[conductor]\nfile_url_allowed_paths = /a/../etc', [/without \. or \.\./]],
    ['dictionary', '[conductor]\ndeploy_kernel_by_arch = x86_64', [/expected name:value pairs .*found "x86_64"$/]],
    ['dictionary with a name twice', '[conductor]\ndeploy_kernel_by_arch = a:1,a:2', [/found a twice$/]],
    ['URL', '[deploy]\nhttp_url = ftp://x', [/found "ftp:\/\/x", expected a URL \(http:\/\/, https:\/\/\)$/]],
    ['address', '[DEFAULT]\nmy_ip = 1.2.3', [/expected an IPv4 or IPv6 address$/]],
    ['octal', '[pxe]\nfile_permission = 0888', [/expected file permissions in octal/]],
    [
      'substitution',
      '[pxe]\ntftp_server = $my_pi',
      [/^FILE line 2, \[pxe\] tftp_server: found \$my_pi, expected the name of an option/],
    ],
    ['circle', '[pxe]\ntftp_root = $images_path\nimages_path = $tftp_root', [/does not lead back to itself/]],
    ['secret', '[glance]\nswift_temp_url_key = $hunter2', [/found \$hunter2/]],
    ['key before a section', 'a = b\n[api]', [/^FILE line 1: found a before the first section/]],
    [
      'no sign',
      '[api]\npassword hunter2',
      [/^FILE line 2: found a line without a key and a value \(password \.\.\.\), expected key = value$/],
    ],
    ['no key', '[api]\n= x', [/expected key = value$/]],
    [
      'section not closed',
      '[api\nport = x\n[deploy]\nfast_track = x',
      [/^FILE line 1: found \[api, expected a section/, /^FILE line 4/],
    ],
    ['text after a section', '[api] # x\n', [/expected a section such as/]],
    [
      'indented key',
      '[api]\n  port = 1\n  max_limit = 2',
      [/^FILE line 2: found an indented line \(port \.\.\.\) with nothing above it/],
    ],
    [
      'rules over several options',
      '[ferrite]\nmanage_dnsmasq = true',
      [/without dhcp_interface/, /without dhcp_range/],
    ],
    [
      'temporary URLs',
      '[glance]\nswift_temp_url_duration = 10\nswift_temp_url_expected_download_start_delay = 11',
      [/found 11, expected at most/],
    ],
  ]
  for (const [name, text, expected] of cases) {
    test(name, async () => {
      const problems = await problemsOf(text)
      assert.equal(problems.length, expected.length, problems.join('\n'))
      for (const [index, pattern] of expected.entries()) assert.match(problems[index] ?? '', pattern)
    })
  }

  test('all at once, in the order of the file', async () => {
    const problems = await problemsOf('[api]\nport = x\nprot = 1\n[nope]\n[deploy]\nfast_track = 2\nbroken\n')
    assert.equal(problems.length, 5)
    assert.ok(problems.some(problem => problem.includes('[nope]')))
  })

  test('a missing file', async () => {
    await assert.rejects(loadConfig({ files: [join(dir, 'none.conf')] }), /none\.conf: found no readable file/)
  })

  test('an unknown option in the environment; a foreign group only warns', async () => {
    await assert.rejects(
      loadConfig({ env: { OS_API__PROT: '1' } }),
      /OS_API__PROT: found an unknown option.*did you mean port/,
    )
    assert.match((await openConfig({ env: { OS_X__Y: '1' } })).warnings.join(), /OS_X__Y/)
  })
})

test('warnings name what has no effect, what is deprecated, what is gone', async () => {
  const path = await file(
    '[DEFAULT]\nuse_stderr = true\n[pxe]\npxe_append_params = a\nip_version = 4\n[deploy]\ndefault_boot_option = local\nfast_track = true',
  )
  const { warnings } = await openConfig({ files: [path] })
  assert.equal(warnings.length, 4)
  assert.match(warnings[0] ?? '', /line 2, \[DEFAULT\] use_stderr: accepted for compatibility/)
  assert.match(warnings[1] ?? '', /line 4, .*use \[pxe\] kernel_append_params/)
  assert.match(warnings[2] ?? '', /line 5, .*deprecated/)
  assert.match(warnings[3] ?? '', /line 7, .*no longer exists/)
})

test('reload changes mutable options in place and reports the others', async () => {
  const path = await file('[deploy]\nfast_track = false\n[api]\nport = 1')
  const loaded = await openConfig({ files: [path] })
  const { config } = loaded
  assert.equal(loaded.originOf('api', 'port'), `${path} line 4`)
  await writeFile(path, '[deploy]\nfast_track = true\n[api]\nport = 2')
  assert.deepEqual(await loaded.reload(), {
    changed: ['deploy.fast_track'],
    needRestart: ['ferrite.api_url', 'api.port'],
  })
  assert.deepEqual([config.deploy.fast_track, config.api.port], [true, 1])

  await writeFile(path, '[deploy]\nfast_track = no\nfast_track_timeout = -1')
  await assert.rejects(loaded.reload(), InvalidConfig)
  assert.equal(config.deploy.fast_track, true)
})

test('files from a command line', async () => {
  const sub = await mkdtemp(join(dir, 'd-'))
  for (const name of ['20.conf', '10.conf', 'x.txt', '.a.conf']) await writeFile(join(sub, name), '')
  assert.deepEqual(await takeConfigFiles(['--config-file', 'a', '--verbose', '--config-dir', sub, '--config-file=b']), {
    files: ['a', join(sub, '10.conf'), join(sub, '20.conf'), 'b'],
    rest: ['--verbose'],
  })
  await assert.rejects(takeConfigFiles(['--config-file']), /expected a path/)
})
