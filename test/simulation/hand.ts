/** One of those that run simulations side by side: runs the seed that it is sent, and sends back what came of it. */
import { messageOf } from '#lib/fault.ts'
import { openWorkshop, simulate } from './simulate.ts'

const workshop = await openWorkshop()

process.on('message', (seed: number) => {
  simulate(seed, workshop).then(
    result => process.send?.(result),
    error => {
      console.error(`seed ${seed} broke off: ${messageOf(error)}`)
      process.exit(1)
    },
  )
})
