/**
 * Fetching an image over HTTP in spite of connections that break and servers that are busy. It writes into the sink that
 * it is given, and judges nothing of what came but its length.
 */
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '#lib/fault.ts'
import { ImageUnreachable } from './faults.ts'
import { ask, explain, type HttpAnswer } from './http.ts'
import { type ImageSink, isFull } from './image-sink.ts'
import type { Job } from './job.ts'

type HttpSource = Extract<Job['source'], { kind: 'http' }>

export interface DownloadWork {
  /** How messages name the image. */
  readonly shown: string
  /** Makes so many bytes free where the sink writes. @throws ImageStoreFull */
  needRoom(bytes: number): Promise<void>
  /** @param total null while unknown */
  progressOf(total: number | null): (bytes: number) => void
}

const attempts = 5

/**
 * Fetches, and goes on where a broken connection left off if the server can: the hash runs on. A server that cannot is
 * asked again from the start.
 */
export async function download(source: HttpSource, sink: ImageSink, work: DownloadWork): Promise<void> {
  let validator: string | undefined
  for (let attempt = 1; ; attempt += 1) {
    try {
      const resume = sink.bytes > 0 && validator !== undefined
      const answer = await ask(
        'GET',
        source.url,
        source.settings,
        resume ? { headers: { range: `bytes=${sink.bytes}-`, 'if-range': validator ?? '' } } : {},
      )
      const total = await begin(answer, sink, work)
      validator = strongValidator(answer)
      const progress = work.progressOf(total)
      try {
        for await (const chunk of answer.body as Readable) {
          await sink.write(chunk)
          progress(sink.bytes)
        }
      } catch (error) {
        if (isFull(error)) throw error
        throw new Interrupted(
          `${explain(error, answer.url)} after ${sink.bytes} of ${total ?? 'an unknown number of'} bytes`,
          { cause: error },
        )
      }
      if (total !== null && sink.bytes !== total)
        throw new Interrupted(`the transfer ended after ${sink.bytes} of ${total} bytes`)
      return
    } catch (error) {
      const mayPass = error instanceof Interrupted || error instanceof ServerBusy
      if (!mayPass) throw error
      if (attempt === attempts) {
        throw new ImageUnreachable(
          `Cannot fetch image ${work.shown}: ${messageOf(error)}, in each of ${attempt} attempts`,
          { cause: error },
        )
      }
      await delay(Math.min(5000, 100 * 3 ** (attempt - 1)) * (0.75 + Math.random() / 2))
    }
  }
}

/** The connection broke; another try may go further. */
class Interrupted extends Error {}
/** The server answered that it cannot now. */
class ServerBusy extends Error {}

/** Reads the status; answers the whole image's size, null when the server does not tell. */
async function begin(answer: HttpAnswer, sink: ImageSink, work: DownloadWork): Promise<number | null> {
  const { status, headers } = answer
  const length = headers['content-length'] === undefined ? null : Number(headers['content-length'])
  if (status === 206) {
    const [, from, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(String(headers['content-range'])) ?? []
    if (Number(from) === sink.bytes && total !== undefined) return Number(total)
    await answer.body.dump()
    await sink.restart()
    throw new Interrupted(`the server answered another range than asked for (${headers['content-range']})`)
  }
  if (status === 200) {
    await sink.restart()
    if (length !== null) await work.needRoom(length)
    return length
  }
  await answer.body.dump()
  if (status === 416) await sink.restart()
  if (status >= 500 || status === 429 || status === 416) throw new ServerBusy(`the server answers ${status}`)
  throw new ImageUnreachable(
    `Cannot fetch image ${work.shown}: the server answers ${status}; expected 200${status === 401 || status === 403 ? ' (see [deploy] image_server_auth_strategy)' : ''}`,
  )
}

/** What proves that a later range belongs to the same content. */
function strongValidator({ headers }: HttpAnswer): string | undefined {
  const { etag, 'last-modified': modified } = headers
  if (typeof etag === 'string' && !etag.startsWith('W/')) return etag
  return typeof modified === 'string' ? modified : undefined
}
