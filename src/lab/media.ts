/** Fetches an image for a BMC's virtual media into a file. Half an image is never left at its place. */
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { get as httpGet } from 'node:http'
import { get as httpsGet } from 'node:https'
import { pipeline } from 'node:stream/promises'
import { Fault, messageOf } from '#lib/fault.ts'

/** The BMC could not get the image it was told to insert. */
export class MediaUnreachable extends Fault {
  readonly status = 400
  readonly code = 'media-unreachable'
}

const IDLE_LIMIT_MS = 30_000

/**
 * Downloads `image` (http or https; certificates are not checked, as BMCs do unless told) to `file`.
 * @throws MediaUnreachable with the URL and what was found there
 */
export async function fetchMedia(image: string, file: string): Promise<void> {
  const attempt = `Cannot insert the image ${image}`
  const url = URL.parse(image)
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new MediaUnreachable(`${attempt}: expected a URL of http or https`)
  }
  const part = `${file}.part`
  try {
    await new Promise<void>((resolve, reject) => {
      const get = url.protocol === 'https:' ? httpsGet : httpGet
      const request = get(url, { rejectUnauthorized: false, timeout: IDLE_LIMIT_MS }, response => {
        if (response.statusCode !== 200) {
          response.destroy()
          reject(new Error(`HTTP status ${response.statusCode}, expected 200`))
          return
        }
        pipeline(response, createWriteStream(part)).then(resolve, reject)
      })
      request.on('timeout', () => request.destroy(new Error(`nothing came for ${IDLE_LIMIT_MS / 1000} s`)))
      request.on('error', reject)
    })
    await rename(part, file)
  } catch (error) {
    await rm(part, { force: true })
    throw new MediaUnreachable(`${attempt}: ${messageOf(error)}`, { cause: error })
  }
}
