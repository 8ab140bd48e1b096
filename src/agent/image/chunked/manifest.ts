/**
 * The manifest of a chunked image: fetched, proved by the hash that the command named, read. An agent that cannot have it
 * takes the plain image, which is as good and only slower; so nothing here fails a deployment.
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Value } from 'typebox/value'
import { messageOf } from '#lib/fault.ts'
import type { ImageInfo } from '#protocol/agent.ts'
import { type ChunkedImage, ChunkManifest, manifestLimitBytes } from '#protocol/chunked-image.ts'
import type { AgentContext } from '../../context.ts'
import { readText, request } from '../../http.ts'
import { proxies } from '../source.ts'

const attempts = 3

/** @returns null when it cannot be had or read; the log says why */
export async function fetchManifest(
  { options, log }: AgentContext,
  info: ImageInfo,
  { manifest_url: url, manifest_sha256: expected }: ChunkedImage,
  signal: AbortSignal,
): Promise<ChunkManifest | null> {
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await request(options, { url, timeoutMs: options.downloadTimeoutMs, signal, ...proxies(info) })
      const text = await readText(answer, manifestLimitBytes)
      if (answer.status !== 200) throw new Error(`its server answered ${answer.status}`)
      return read(text, expected)
    } catch (error) {
      signal.throwIfAborted()
      log.warn(`The chunked form of image ${info.id} cannot be had (${attempt} of ${attempts}): ${messageOf(error)}`)
      if (attempt === attempts) return null
      await sleep(options.downloadRetryPauseMs, undefined, { signal })
    }
  }
}

function read(text: string, expected: string): ChunkManifest {
  const found = createHash('sha256').update(text).digest('hex')
  if (found !== expected) throw new Error(`the sha256 of its manifest is ${found}, expected ${expected}`)
  const manifest: unknown = JSON.parse(text)
  if (!Value.Check(ChunkManifest, manifest)) throw new Error('its manifest is of a shape this agent does not know')
  const places = manifest.chunks.map(({ index }) => index)
  const end = Math.ceil(manifest.size_bytes / manifest.chunk_bytes)
  if (places.some((index, at) => index >= end || index <= (places[at - 1] ?? -1))) {
    throw new Error('its manifest has chunks out of order or beyond the end')
  }
  return manifest
}
