/** `ferrite node logs`: what a node's ramdisk told of its boots, also of those that never got as far as a heartbeat. */
import { NotFound } from '#lib/fault.ts'
import { segment } from './client.ts'
import { type Commands, type Context, command } from './command.ts'
import { node, nodePath } from './node-path.ts'

const lookEveryMs = 1000

interface Boot {
  boot_id: string
  began_at: string
  updated_at: string
  size_bytes: number
}

export const commands: Commands = {
  '': command({
    about: "Print what a node's ramdisk told, of its newest boot",
    args: { node },
    options: {
      list: { takes: 'nothing', group: 'what', about: 'list the boots whose logs are kept, the newest first' },
      boot: { takes: 'text', about: 'print that of this boot; the first characters of its ID are enough' },
      follow: {
        takes: 'nothing',
        short: 'f',
        group: 'what',
        about: 'go on as more comes, and with the next boot, until interrupted',
      },
    },
    async run({ args, options }, { api, terminal }) {
      const path = `${nodePath(args.node)}/ramdisk_logs`
      if (options.list) {
        for (const { boot_id, began_at, updated_at, size_bytes } of await bootsOf(api, path)) {
          terminal.out.write(`${boot_id}  ${began_at} to ${updated_at}  ${size_bytes} bytes\n`)
        }
        return undefined
      }
      const interrupted = options.follow ? terminal.interrupted : undefined
      let shown: { boot: string; after: number } | undefined
      for (;;) {
        const boot = await bootOf(api, path, options.boot)
        if (boot === undefined && !options.follow) throw none(args.node, options.boot)
        if (boot !== undefined) {
          const after = shown?.boot === boot ? shown.after : -1
          const log = await api.get(`${path}/${segment(boot)}`, { after })
          terminal.out.write(String(log.text))
          shown = { boot, after: typeof log.last_piece === 'number' ? log.last_piece : after }
        }
        if (interrupted === undefined || interrupted.aborted) return undefined
        await terminal.sleep(lookEveryMs)
        if (interrupted.aborted) return undefined
      }
    },
  }),
}

/** The newest boot, or the one that is asked for; undefined when there is none. */
async function bootOf(api: Context['api'], path: string, wanted: string | undefined): Promise<string | undefined> {
  const boots = await bootsOf(api, path)
  return boots.find(({ boot_id }) => boot_id.startsWith((wanted ?? '').toLowerCase()))?.boot_id
}

async function bootsOf(api: Context['api'], path: string): Promise<Boot[]> {
  return ((await api.get(path)) as unknown as { ramdisk_logs: Boot[] }).ramdisk_logs // as the API documents
}

function none(name: string, wanted: string | undefined): NotFound {
  const what = wanted === undefined ? 'any boot' : `a boot ${wanted}`
  return new NotFound(
    `Cannot print the log of node ${name}: the service has none of ${what}; a ramdisk of ours tells its log from the time when it has an address`,
  )
}
