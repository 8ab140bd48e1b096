/** The clients as Debian packages: installed where that is possible, and otherwise the reason why tests are skipped. */
import { ensureHostPackages, HostPackagesMissing } from '#lab/host-packages.ts'

/**
 * Installs what is missing of `names`.
 * @returns false when all are there, else why not: fits the option `skip` of a test
 */
export async function whyMissing(names: readonly string[]): Promise<false | string> {
  try {
    await ensureHostPackages(names, line => console.log(line))
    return false
  } catch (error) {
    if (error instanceof HostPackagesMissing) return error.message
    throw error
  }
}
