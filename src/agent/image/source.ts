/**
 * The image as a stream of bytes from its server. A stream that breaks off is taken up where it ended; how often and how
 * long is bounded. What a server will say again (4xx) is not asked again. Whether the bytes are the right ones is not
 * decided here.
 *
 * Source: openstack/ironic-python-agent `extensions/standby.py` (authorization, times, retries); RFC 9110 14 (ranges).
 */
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGunzip } from 'node:zlib'
import { messageOf } from '#lib/fault.ts'
import type { ImageInfo } from '#protocol/agent.ts'
import type { AgentContext } from '../context.ts'
import { AgentFault } from '../errors.ts'
import { type HttpAnswer, readText, request, shown, throughProxy } from '../http.ts'

export interface ImageSource {
  /** Null when the server does not say. */
  readonly sizeBytes: number | null
  /** Of the image, each counted once. */
  readonly deliveredBytes: number
  /** That came, those that came again after a break included. */
  readonly receivedBytes: number
  /** Once only. @throws AgentFault ImageDownloadError after the last attempt */
  chunks(): AsyncIterable<Uint8Array>
  /** Ends the connection; for when nobody reads to the end. */
  close(): void
}

/**
 * Asks for the image and resolves when its first bytes are on the way.
 * @throws AgentFault ImageDownloadError naming the server's answer
 */
export async function openImage(agent: AgentContext, info: ImageInfo, signal: AbortSignal): Promise<ImageSource> {
  const transfer = new Transfer(agent, info, signal)
  await transfer.open()
  return transfer
}

/** Fetches a small text beside the image with the same rights. One attempt. */
export async function fetchBeside(agent: AgentContext, info: ImageInfo, url: string): Promise<string> {
  try {
    const answer = await request(agent.options, {
      url,
      headers: authorization(info),
      timeoutMs: agent.options.downloadTimeoutMs,
      ...proxies(info),
    })
    const text = await readText(answer, 4 * 1024 * 1024)
    if (answer.status !== 200) throw new AgentFault('ImageDownloadError', `the server answered ${answer.status}`)
    return text
  } catch (error) {
    throw new AgentFault('ImageDownloadError', `Cannot fetch the checksum file ${shown(url)}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

class Transfer implements ImageSource {
  readonly #agent: AgentContext
  readonly #info: ImageInfo
  readonly #signal: AbortSignal
  readonly #deadline: number
  readonly #authorization: Record<string, string>
  #answer: HttpAnswer | null = null
  #failures = 0
  #received = 0
  #skipped = 0
  sizeBytes: number | null = null
  #encoded = false
  /** What must be unchanged for a resumed stream to be the same image. */
  #validator: string | null = null

  constructor(agent: AgentContext, info: ImageInfo, signal: AbortSignal) {
    this.#agent = agent
    this.#info = info
    this.#signal = signal
    this.#authorization = authorization(info)
    const { downloadMaxDurationMs } = agent.options
    this.#deadline = downloadMaxDurationMs > 0 ? performance.now() + downloadMaxDurationMs : Number.POSITIVE_INFINITY
  }

  get deliveredBytes(): number {
    return this.#received
  }

  get receivedBytes(): number {
    return this.#received + this.#skipped
  }

  async open(): Promise<void> {
    while (this.#answer === null) {
      try {
        this.#answer = await this.#ask()
      } catch (error) {
        await this.#failed(error)
      }
    }
  }

  close(): void {
    this.#answer?.body.destroy()
  }

  async *chunks(): AsyncIterable<Uint8Array> {
    for (;;) {
      await this.open()
      const answer = this.#answer
      this.#answer = null
      if (answer === null) continue // open() has just set it
      let skip = answer.status === 200 ? this.#received : 0
      try {
        for await (const chunk of this.#decoded(answer)) {
          this.#checkTime()
          this.#skipped += Math.min(skip, chunk.length)
          if (skip >= chunk.length) {
            skip -= chunk.length
            continue
          }
          const fresh = skip > 0 ? chunk.subarray(skip) : chunk
          skip = 0
          this.#received += fresh.length
          yield fresh
        }
        if (this.sizeBytes === null || this.#received === this.sizeBytes) return
        throw new AgentFault(
          'ImageDownloadError',
          `the stream ended after ${this.#received} of ${this.sizeBytes} bytes`,
        )
      } catch (error) {
        await this.#failed(error)
      } finally {
        answer.body.destroy()
      }
    }
  }

  async #ask(): Promise<HttpAnswer> {
    this.#checkTime()
    const resume = this.#received > 0 && !this.#encoded
    const answer = await request(this.#agent.options, {
      url: this.#info.urls[this.#failures % this.#info.urls.length] ?? '', // never empty, says the schema
      headers: {
        'Accept-Encoding': 'identity',
        ...this.#authorization,
        ...(resume ? { Range: `bytes=${this.#received}-` } : {}),
        ...(resume && this.#validator !== null ? { 'If-Range': this.#validator } : {}),
      },
      timeoutMs: this.#agent.options.downloadTimeoutMs,
      signal: this.#signal,
      bulk: true,
      ...proxies(this.#info),
    })
    try {
      this.#examine(answer)
    } catch (error) {
      answer.body.destroy()
      throw error
    }
    return answer
  }

  #examine({ status, headers, url }: HttpAnswer): void {
    if (status === 206 && this.#received > 0) {
      const from = /^bytes (\d+)-/.exec(text(headers['content-range']))?.[1]
      if (Number(from) !== this.#received)
        throw new Fatal(`the server resumed at byte ${from}, asked for was ${this.#received}`)
      return
    }
    if (status !== 200) {
      const by = isOfProxy(status, headers) ? throughProxy(new URL(url), proxies(this.#info)) : ''
      const message = `${shown(url)} answered ${status}${by}${whyRefused(status, url)}`
      throw status >= 400 && status < 500 && status !== 408 && status !== 429 ? new Fatal(message) : new Error(message)
    }
    this.#encoded = /gzip/i.test(text(headers['content-encoding']))
    const length = text(headers['content-length'])
    const size = length === '' || this.#encoded ? null : Number(length)
    const etag = text(headers.etag)
    const validator = etag.startsWith('W/') ? null : etag || text(headers['last-modified']) || null
    if (this.#received > 0 && (size !== this.sizeBytes || validator !== this.#validator)) {
      throw new Fatal('the image was changed on the server while it was being read')
    }
    this.sizeBytes = size
    this.#validator = validator
  }

  #decoded({ body }: HttpAnswer): AsyncIterable<Uint8Array> {
    if (!this.#encoded) return body
    const gunzip = createGunzip()
    pipeline(body, gunzip).catch(error => gunzip.destroy(error))
    return gunzip
  }

  /** Counts a failure and waits, or gives up. */
  async #failed(error: unknown): Promise<void> {
    const { options, log } = this.#agent
    this.#failures++
    this.#signal.throwIfAborted()
    const where = this.#received > 0 ? ` after ${this.#received} bytes` : ''
    const url = shown(this.#info.urls[0] ?? '')
    if (error instanceof AgentFault && error.type === 'ImageDownloadTimeoutError') throw error
    if (error instanceof Fatal || this.#failures > options.downloadRetries) {
      const times = this.#failures === 1 ? '' : `, ${this.#failures} times`
      throw new AgentFault(
        'ImageDownloadError',
        `Fetching the image ${url} failed${where}${times}: ${messageOf(error)}`,
        { cause: error },
      )
    }
    log.warn(
      `Fetching ${url} failed${where} (${this.#failures} of ${options.downloadRetries + 1}): ${messageOf(error)}`,
    )
    await sleep(options.downloadRetryPauseMs, undefined, { signal: this.#signal })
  }

  #checkTime(): void {
    if (performance.now() < this.#deadline) return
    const { downloadMaxDurationMs } = this.#agent.options
    throw new AgentFault(
      'ImageDownloadTimeoutError',
      `Fetching the image took longer than the allowed ${downloadMaxDurationMs / 1000} s; ${this.#received} of ${this.sizeBytes ?? 'unknown'} bytes came`,
    )
  }
}

/** A proxy that lets us not through says so, in its way. Source: RFC 9110 15.5.8, RFC 9209; squid, X-Squid-Error. */
function isOfProxy(status: number, headers: HttpAnswer['headers']): boolean {
  return status === 407 || (status === 403 && ('x-squid-error' in headers || 'proxy-status' in headers))
}

/** What a refused temporary URL of an object store tells by itself: its query has its end in seconds since 1970. */
function whyRefused(status: number, url: string): string {
  if (status !== 401 && status !== 403) return ''
  const expires = Number(new URL(url).searchParams.get('temp_url_expires') ?? Number.NaN)
  if (Number.isNaN(expires)) return ''
  const lateS = Math.floor(Date.now() / 1000) - expires
  return lateS > 0
    ? `: its temporary URL expired ${lateS} s ago; expected [glance] swift_temp_url_duration to be longer, or with the cache swift_temp_url_expected_download_start_delay`
    : ': its temporary URL is refused before its end; expected the key that signed it to be in use still, and the clocks to agree'
}

/** A header that is there once; of the ones read here, none may be there twice. */
const text = (value: string | string[] | undefined) => (typeof value === 'string' ? value : '')

/** Asking again would bring the same. */
class Fatal extends Error {}

function authorization(info: ImageInfo): Record<string, string> {
  if (info.image_request_authorization) {
    return { Authorization: Buffer.from(info.image_request_authorization, 'base64').toString('utf8').trim() }
  }
  if (info.image_server_auth_strategy !== 'http_basic') return {}
  if (!info.image_server_user || !info.image_server_password) {
    throw new AgentFault(
      'ImageDownloadError',
      'Cannot fetch the image: http_basic needs image_server_user and image_server_password',
    )
  }
  const pair = Buffer.from(`${info.image_server_user}:${info.image_server_password}`).toString('base64')
  return { Authorization: `Basic ${pair}` }
}

export function proxies(info: ImageInfo) {
  if (!info.proxies) return {}
  return { proxies: { ...info.proxies, ...(info.no_proxy ? { no: info.no_proxy } : {}) } }
}
