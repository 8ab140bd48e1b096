/**
 * `auth_strategy = http_basic`: a name and a password with every request, checked against a file of bcrypt hashes that
 * is read again when it changes. Whoever is in the file may do everything.
 *
 * A bcrypt comparison takes a hundred milliseconds of a processor, so it runs in the pool of threads, two at a time, and
 * what it said is remembered for a short time under a digest of the credentials; passwords are kept nowhere.
 *
 * Source: REST API reference, "Three ways"; Ironic ironic/common/auth_basic.py
 */
import type { IncomingMessage } from 'node:http'
import bcrypt from 'bcrypt'
import type { Clock } from '#lib/clock.ts'
import { openFresh, textOfFile, versionOfFile } from '#lib/fresh.ts'
import type { Log } from '#lib/log.ts'
import { recentMap } from '#lib/recent.ts'
import { type Authenticator, type Identity, nobody } from '../auth.ts'
import { Busy } from '../faults.ts'
import { digestOf } from './digest.ts'
import { MalformedCredentials, Unauthenticated } from './faults.ts'
import { parseUsers, type Users } from './htpasswd.ts'

const rememberForMs = 60_000
const rememberWrongForMs = 5_000
const rememberMost = 4096
const comparingAtOnce = 2
const mostWaiting = 200
const challenge = 'Basic realm="Baremetal API"'

/** Who was recognised by which hash: another hash in the file asks for another comparison. */
interface Known {
  readonly hash: string
  readonly identity: Identity
}

/** @throws InvalidInput when the file cannot be used, naming the line */
export async function openHttpBasic(options: { path: string; clock: Clock; log: Log }): Promise<Authenticator> {
  const { path, clock, log } = options
  const noun = 'the file of users'
  const file = await openFresh<Users>({
    noun,
    version: () => versionOfFile(path, noun),
    load: async () => parseUsers(await textOfFile(path, noun), path),
    log,
  })
  // Apart from each other, so that a flood of wrong credentials drives out no right ones.
  const known = recentMap<Known>({ most: rememberMost, now: clock.now })
  const wrongOnes = recentMap<true>({ most: rememberMost, now: clock.now })
  const comparing = new Map<string, Promise<Identity>>()
  const turn = turns(comparingAtOnce)

  function check(users: Users, header: string, key: string): Identity | Promise<Identity> {
    const remembered = known.get(key)
    if (remembered && users.get(remembered.identity.userName ?? '') === remembered.hash) {
      // Whoever keeps calling is not compared again, and so waits in no queue while others guess passwords.
      known.set(key, remembered, rememberForMs)
      return remembered.identity
    }
    // A refusal holds for its few seconds, whatever the file says meanwhile.
    if (wrongOnes.get(key)) throw wrong()
    const running = comparing.get(key)
    if (running) return running
    const started = compare(users, header, key).finally(() => comparing.delete(key))
    comparing.set(key, started)
    return started
  }

  async function compare(users: Users, header: string, key: string): Promise<Identity> {
    const { name, password } = readHeader(header)
    // An unknown name takes as long as a wrong password, or names could be found out.
    const hash = users.get(name) ?? users.values().next().value ?? ''
    const same = await turn(() => bcrypt.compare(password, hash.replace('$2y$', '$2b$')))
    if (same && users.has(name)) {
      // It may have waited long for its turn: whoever left the file meanwhile is not let in any more.
      if ((await file.read()).get(name) !== hash) throw wrong()
      const identity = { ...nobody, userId: name, userName: name }
      known.set(key, { hash, identity }, rememberForMs)
      return identity
    }
    wrongOnes.set(key, true, rememberWrongForMs)
    log.warn({ user: name.slice(0, 80) }, 'credentials were refused')
    throw wrong()
  }

  return {
    authenticate(request: IncomingMessage) {
      const header = request.headers.authorization
      if (header === undefined) throw new Unauthenticated('Authorization required', challenge)
      const key = digestOf(header)
      const users = file.read()
      return users instanceof Promise ? users.then(read => check(read, header, key)) : check(users, header, key)
    },
  }
}

function wrong(): Unauthenticated {
  return new Unauthenticated('Incorrect username or password', challenge)
}

/** @throws MalformedCredentials */
function readHeader(header: string): { name: string; password: Buffer } {
  const [, scheme, token] = /^\s*(\S+)\s+(\S+)\s*$/.exec(header) ?? []
  if (scheme === undefined || token === undefined) {
    throw new MalformedCredentials('Cannot read the Authorization header: expected Basic and the encoded credentials')
  }
  if (scheme.toLowerCase() !== 'basic') {
    throw new MalformedCredentials(`Cannot use the Authorization header: found ${scheme.slice(0, 40)}, expected Basic`)
  }
  const decoded = Buffer.from(token, 'base64')
  const colon = decoded.indexOf(':')
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(token) || token.length % 4 !== 0 || colon < 0) {
    throw new MalformedCredentials('Cannot read the Authorization header: expected name:password in base64')
  }
  return { name: decoded.subarray(0, colon).toString('utf8'), password: decoded.subarray(colon + 1) }
}

/** Runs so many at a time, the others in their order. @throws Busy when too many wait */
function turns(atOnce: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async work => {
    if (running < atOnce) running += 1
    else {
      if (waiting.length >= mostWaiting) {
        throw new Busy('Cannot check credentials now: too many others are being checked; try again in a few seconds')
      }
      await new Promise<void>(resolve => waiting.push(resolve))
    }
    try {
      return await work()
    } finally {
      // The place is handed over, so that nobody slips in between.
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}
