interface Token {
  readonly token: Record<string, unknown>
  readonly secret: string
  /** Seconds. */
  readonly maxAge: number
}

/** Makes the value of a session cookie, as Auth.js 5 does; its salt is the name of the cookie. @public */
export declare function encodeAuthJs(token: Token & { readonly salt: string }): Promise<string>
/** Makes the value of a session cookie, as NextAuth 4 does. @public */
export declare function encodeNextAuth(token: Token): Promise<string>
