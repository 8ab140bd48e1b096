/** The loader runs: scripts, kernel and ramdisk come over HTTP, and one of them did not come whole. */
import type { BootRecord } from '#protocol/boot.ts'
import type { BootSetting } from '../diagnosis.ts'
import { ofDamage } from './damage.ts'
import { foreignServer } from './network.ts'
import { clockTime, type Diagnosis, isFirmware, reached } from './words.ts'

type File = 'script' | 'kernel' | 'ramdisk'

export function ofFiles(record: BootRecord, setting: BootSetting): Diagnosis | undefined {
  // Loaders look at the kernel before they fetch the ramdisk, GRUB before it has fetched the whole kernel.
  if (reached(record, 'kernel')) return ofDamage(setting, 'the kernel', ['kernel']) ?? unfetched(record, 'ramdisk')
  if (reached(record, 'script')) return ofDamage(setting, 'its boot script', ['kernel']) ?? unfetched(record, 'kernel')
  if (reached(record, 'ipxe')) return unfetched(record, 'script')
  if (!reached(record, 'tftp')) return undefined
  return failure(record, 'script') ? unfetched(record, 'script') : (foreignServer(record) ?? silentLoader(record))
}

/** Files of a node are named for what they are; everything else that is fetched leads to its script. */
const fileOf = (path: string): File => {
  if (/kernel$/.test(path)) return 'kernel'
  return /ramdisk$/.test(path) ? 'ramdisk' : 'script'
}

function failure({ troubles }: BootRecord, file: File) {
  return troubles.findLast(trouble => trouble.what === 'http failed' && fileOf(trouble.path) === file)
}

/** The hop before was reached and this file was not. */
function unfetched(record: BootRecord, file: File): Diagnosis {
  const failed = failure(record, file)
  const name = file === 'script' ? "the node's boot script" : `the ${file}`
  if (failed?.what !== 'http failed') {
    return {
      cause: `no-${file}`,
      summary: {
        script: 'The machine runs its boot loader, which never asked for the boot script of the node',
        kernel: 'The machine fetched its boot script but not the kernel',
        ramdisk: 'The machine fetched the kernel but not the whole ramdisk',
      }[file],
      evidence: [],
      actions: [
        {
          script: 'see whether the loader has the address that the port has, and reaches [deploy] http_url',
          kernel:
            'see the script that is published for the node, the HTTP log of the boot files, and whether [deploy] http_url is reached from the machine',
          ramdisk: 'too little memory, or a broken transfer: see the console, and how large the ramdisk is',
        }[file],
      ],
    }
  }
  const { status, path, bytes, sizeBytes, at } = failed
  const broken = status === 200 || status === 206
  return {
    cause: broken ? `${file}-transfer-broken` : `${file}-not-served`,
    summary: broken
      ? `The transfer of ${name} broke off after ${bytes} of ${sizeBytes ?? 'unknown'} bytes`
      : `The machine asked for ${name} and got HTTP ${status}`,
    evidence: [`at ${clockTime(at)}: ${path}, HTTP ${status}, ${bytes} bytes`],
    actions: [
      broken
        ? 'look for a broken link, or too little memory in the machine; what it fetches is begun again at its next boot'
        : 'see that the file is there and readable for the server; a node that is deployed again gets its files anew',
    ],
  }
}

const silentLoader = ({ hops }: BootRecord): Diagnosis => ({
  cause: 'loader-silent',
  summary: 'The machine got its first loader by TFTP, but the loader never asked for the boot script over HTTP',
  evidence: hops
    .flatMap(({ data }) => (isFirmware(data.client) ? [`the firmware calls itself "${data.client}"`] : []))
    .slice(-1),
  actions: ['see the console: a loader of the wrong architecture, secure boot, or no way to [deploy] http_url'],
})
