/** Who a request comes from. */
export interface Principal {
  readonly userId: string
  readonly roles: readonly string[]
  /** How we know: by a token, or because it is development and the request is from this machine. */
  readonly method: 'token' | 'loopback'
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
}
