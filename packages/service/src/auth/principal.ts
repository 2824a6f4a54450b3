/**
 * How we know who it is: by the session of a browser, by a signed token, by one of the development tokens, because it is
 * development and the request is from this machine, or because the gateway says so to its worker. Or we do not know.
 */
export type AuthMethod = 'session' | 'token' | 'static' | 'loopback' | 'worker' | 'anonymous'

/** Who a request comes from. */
export interface Principal {
  readonly userId: string
  readonly roles: readonly string[]
  readonly method: AuthMethod
  /** What the token says besides. */
  readonly metadata: Readonly<Record<string, unknown>>
  /** When the token's time is over, in milliseconds since 1970. Default: never. */
  readonly expiresAt?: number
  /** The token's own id, by which it can be revoked. */
  readonly tokenId?: string
  /** When the token was issued, in milliseconds since 1970. */
  readonly issuedAt?: number
  /** Of a stream token: what the first of its like was got with, which bounds them all and is revoked with them. */
  readonly signIn?: { readonly tokenId: string; readonly endsAt: number }
  /** Which groups may be joined: names, or the beginnings of names with a `*` behind. Default: any. */
  readonly groups?: readonly string[]
  /**
   * What may be sent to, beside what the roles allow: `all`, `user:42`, `group:chat`, `role:ops`, `session:…`,
   * `connection:…`, or the beginnings of these with a `*` behind. Default: nothing.
   */
  readonly publish?: readonly string[]
}

/** What the user ids of anonymous streams begin with. Nobody who signs in may have such a one. */
export const ANONYMOUS_PREFIX = 'anonymous:'

/** Whether a user id is one that nobody who signs in may have. */
export function isReservedUser(userId: string): boolean {
  return userId.startsWith(ANONYMOUS_PREFIX)
}

/** The role that may do all. */
export const ADMIN = 'admin'
