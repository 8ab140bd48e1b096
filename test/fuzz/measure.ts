/** Loaded into the service before it starts: tells its parent, when asked, what is left on the heap once it was swept. */
import { setTimeout as sleep } from 'node:timers/promises'

process.on('message', async () => {
  // Twice, with a breath between them: what the first sweep sets free may hold more.
  for (let i = 0; i < 2; i += 1) {
    globalThis.gc?.()
    await sleep(100)
  }
  globalThis.gc?.()
  process.send?.(process.memoryUsage())
})
// Asking must not keep the service from ending.
process.channel?.unref()
