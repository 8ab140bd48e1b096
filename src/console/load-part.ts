/**
 * Loads parts of the console that are not there from the beginning. One that cannot be loaded was replaced by a newer
 * console, as a rule: then the whole page is loaded anew, once for each build that it finds.
 */

const key = 'ferrite.reloadedFrom'

/** What `load` brings, unless the page goes. @throws what `load` does, when another try of this build would not help */
export async function loadPart<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    if (!reloadOnce()) throw error
    return new Promise(() => {}) // The page goes.
  }
}

function reloadOnce(): boolean {
  const build = document.querySelector<HTMLScriptElement>('script[type=module]')?.src
  try {
    if (build === undefined || sessionStorage.getItem(key) === build) return false
    sessionStorage.setItem(key, build)
  } catch {
    return false // Nothing can be kept, so nobody would know that it was tried.
  }
  location.reload()
  return true
}
