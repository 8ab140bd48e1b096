/**
 * Copies of a PostgreSQL database by its own programs (Debian's `postgresql-client`): taken while it is in use, put into an
 * empty one, or into one whose tables go first. The password stands in no command line.
 */
import { readConnection } from '#db/connection.ts'
import { Conflict, InvalidInput, messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'

/** Writes the database as it is at one instant, whoever writes to it meanwhile. @throws CommandFailed */
export async function dump(url: string, file: string): Promise<void> {
  const { args, env } = reaching(url)
  await run('pg_dump', [...args, '--format=custom', '--no-owner', '--no-privileges', '--file', file], { env })
}

/**
 * Puts a copy of dump() into the database, in one transaction.
 * @param force what is there goes first: every table of its schema, for a newer version may have had more of them
 * @throws Conflict where the database is not empty, or somebody else's
 */
export async function load(url: string, file: string, { force }: { force: boolean }): Promise<void> {
  const { args, env } = reaching(url)
  const script = `${file}.sql`
  const inOne = ['--no-psqlrc', '--quiet', '--output=/dev/null', '--set=ON_ERROR_STOP=1', '--single-transaction']
  try {
    await run('pg_restore', ['--no-owner', '--no-privileges', `--file=${script}`, file])
    const first = force ? ['--command', dropTables] : []
    await run('psql', [...args, ...inOne, ...first, '--file', script], { env })
  } catch (error) {
    const expected = force ? 'tables that are its own, and no service on it' : 'an empty one, or --force'
    throw new Conflict(`Cannot restore the database: ${messageOf(error)}; expected ${expected}`, { cause: error })
  }
}

const dropTables = `DO $$
DECLARE name text;
BEGIN
  SET LOCAL lock_timeout = '20s';
  FOR name IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = current_schema() LOOP
    EXECUTE 'DROP TABLE ' || name || ' CASCADE';
  END LOOP;
END $$`

/** Variables of libpq's options. Source: PostgreSQL manual, "Environment Variables" of libpq */
const variables: Readonly<Record<string, string>> = {
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  options: 'PGOPTIONS',
}

/** How the programs reach the database as the service does. */
function reaching(url: string) {
  const connection = readConnection(url)
  if (connection.engine !== 'postgresql') throw new InvalidInput('Cannot copy the database: it is none of PostgreSQL')
  const { host, port, user, database, password } = connection
  const named = [...new URL(url).searchParams].flatMap(([name, value]) => {
    const variable = variables[name]
    return variable === undefined ? [] : [[variable, value] as const]
  })
  return {
    args: ['--no-password', '--host', host, '--port', String(port), '--username', user, '--dbname', database],
    env: { ...Object.fromEntries(named), ...(password === undefined ? {} : { PGPASSWORD: password }) },
  }
}
