/** The storage interface of machines that boot from their own disks. Does nothing. */
import type { StorageInterface } from '../boot-interfaces.ts'

const noop: StorageInterface = { validate: async () => {} }

export default noop
