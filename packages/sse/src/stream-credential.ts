/** What a stream was opened with, or was last given: whose it is, when it ends, and what it is revoked by. */
export interface StreamCredential {
  readonly userId?: string
  /** When it ends, and the stream with it; in milliseconds since 1970. Default: never. */
  readonly expiresAt?: number
  /** Its own id. */
  readonly tokenId?: string
  /** What it was got with, where that has an id of its own and is revoked with it. */
  readonly signIn?: { readonly tokenId: string }
  /** When it was issued, in milliseconds since 1970. */
  readonly issuedAt?: number
}

/** Whether a credential counts no more, though its time is not over. */
export type RevocationCheck = (credential: StreamCredential) => boolean
