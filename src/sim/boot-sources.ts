/** What a service boots simulated machines with: files that are published and fetched, and that nobody runs. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where the service finds them: URLs, and the certificate to check BMCs by. */
export interface BootSources {
  kernel: string
  ramdisk: string
  /** A file; false: BMCs are not checked. */
  bmcCertificate: string | false
}

/** @param folder is made; the service must be allowed to read it ([conductor] file_url_allowed_paths) */
export async function writeBootSources(folder: string, bmcCertificatePem: string): Promise<BootSources> {
  await mkdir(folder, { recursive: true })
  const urlOf = async (name: string) => {
    const path = join(folder, name)
    await writeFile(path, `The ${name} of simulated machines.\n`)
    return `file://${path}`
  }
  const bmcCertificate = join(folder, 'bmc.crt')
  await writeFile(bmcCertificate, bmcCertificatePem)
  return { kernel: await urlOf('kernel'), ramdisk: await urlOf('ramdisk'), bmcCertificate }
}
