/**
 * An authority of our own, and certificates that it signs for a service on the loopback, as an operator makes them with
 * openssl. They are good for some days and live in the directory of the test.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** What clients trust. */
export interface Authority {
  readonly certFile: string
  readonly certPem: string
  readonly keyFile: string
}

/** What a service serves with: its certificate and its key. */
export interface Served {
  readonly certFile: string
  readonly keyFile: string
}

/** @param name of the authority, and of its files in `directory` */
export async function makeAuthority(directory: string, name: string): Promise<Authority> {
  const files = filesOf(directory, name)
  const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign']
  await request(files, `/CN=${name}`, extensions)
  return { ...files, certPem: await readFile(files.certFile, 'utf8') }
}

/** A certificate for 127.0.0.1, and a key; the files of that name in `directory` are replaced. */
export async function serve(directory: string, name: string, authority: Authority): Promise<Served> {
  const files = filesOf(directory, name)
  const extensions = [
    'basicConstraints=critical,CA:FALSE',
    'subjectAltName=IP:127.0.0.1',
    'extendedKeyUsage=serverAuth',
  ]
  await request(files, `/CN=${name}`, extensions, ['-CA', authority.certFile, '-CAkey', authority.keyFile])
  return files
}

function filesOf(directory: string, name: string): Served {
  return { certFile: join(directory, `${name}.pem`), keyFile: join(directory, `${name}.key`) }
}

async function request(files: Served, subject: string, extensions: readonly string[], by: readonly string[] = []) {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', files.keyFile]
  const more = extensions.flatMap(one => ['-addext', one])
  const args = ['req', '-x509', '-config', '/dev/null', '-subj', subject, '-days', '3', ...key, ...by, ...more]
  await promisify(execFile)('openssl', [...args, '-out', files.certFile])
}
