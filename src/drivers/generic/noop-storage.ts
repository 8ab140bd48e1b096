/** The storage interface of machines that boot from their own disks. Does nothing. */
import type { PlainInterface } from '../driver.ts'

const noop: PlainInterface = { validate: async () => {} }

export default noop
