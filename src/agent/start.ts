/**
 * Where the agent's bundle begins. Its threads load this very file and need no more of it than they are made of: what
 * comes by the late import is not run in them, which spares each some 16 MiB.
 */
import { isMainThread } from 'node:worker_threads'
import './image/chunked/chunk-thread.ts'
import './image/hash-thread.ts'

if (isMainThread) {
  const [command, file, leaseFile] = process.argv.slice(2)
  if (command === 'network' && file !== undefined && leaseFile !== undefined) {
    const { applyNetwork } = await import('./network/apply.ts')
    await applyNetwork(file, leaseFile)
  } else {
    await import('./main.ts')
  }
}
