/** What we use of net-snmp, which brings no types. */
declare module 'net-snmp' {
  export interface Varbind {
    oid: string
    type: number
    value: unknown
  }

  interface Options {
    port: number
    /** Sendings after the first. */
    retries: number
    /** Milliseconds, each. */
    timeout: number
    transport: 'udp4' | 'udp6'
    version: number
    /** Of version 3. */
    context?: string
  }

  interface User {
    name: string
    level: number
    authProtocol: number
    authKey: string
    privProtocol: number
    privKey: string
  }

  type Done = (error: Error | null, varbinds?: readonly Varbind[]) => void

  export interface Session {
    get(oids: readonly string[], done: Done): void
    set(varbinds: readonly Varbind[], done: Done): void
    on(event: 'error', listener: (error: Error) => void): void
    close(): void
  }

  const snmp: {
    Version1: number
    Version2c: number
    Version3: number
    ObjectType: { Integer: number }
    SecurityLevel: { noAuthNoPriv: number; authNoPriv: number; authPriv: number }
    AuthProtocols: Record<'none' | 'md5' | 'sha' | 'sha224' | 'sha256' | 'sha384' | 'sha512', number>
    PrivProtocols: Record<'none' | 'aes' | 'aes256b' | 'aes256r', number>
    createSession(target: string, community: string, options: Options): Session
    createV3Session(target: string, user: User, options: Options): Session
    isVarbindError(varbind: Varbind): boolean
    varbindError(varbind: Varbind): string
    RequestTimedOutError: new () => Error
    RequestFailedError: new () => Error
    ResponseInvalidError: new () => Error
  }
  export default snmp
}
