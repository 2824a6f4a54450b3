import type { Clock } from '@tributary/protocol'
import { type CryptoKey, type JWTPayload, SignJWT } from 'jose'
import type { Principal } from '../principal.ts'
import { importSecret } from './jwt-keys.ts'
import { JwtVerifier } from './jwt-verifier.ts'
import { OWN_ISSUER } from './own-token.ts'

const ALGORITHM = 'HS256'

export interface OwnTokenKindOptions {
  readonly key: Uint8Array
  /** What they are for. */
  readonly audience: string
  readonly clock: Clock
  /** How far the signer's clock may be off, in seconds. Default 0: it is this one. */
  readonly leewayS?: number
  /** Whom the claims stand for. Default: as any token's. @throws ProblemError where they do not hold together. */
  readonly principalOf?: (payload: unknown) => Principal
}

/** The tokens that we sign ourselves for one purpose. */
export class OwnTokenKind {
  readonly #key: Promise<CryptoKey>
  readonly #audience: string
  readonly #verifier: JwtVerifier

  constructor({ key, audience, leewayS = 0, ...options }: OwnTokenKindOptions) {
    this.#key = importSecret(key)
    this.#audience = audience
    this.#verifier = new JwtVerifier({
      ...options,
      keys: () => this.#key,
      algorithms: [ALGORITHM],
      issuer: OWN_ISSUER,
      audience,
      leewayS,
    })
  }

  async sign(claims: JWTPayload): Promise<string> {
    return new SignJWT({ ...claims, iss: OWN_ISSUER, aud: this.#audience })
      .setProtectedHeader({ alg: ALGORITHM })
      .sign(await this.#key)
  }

  /** Whom one stands for. @throws ProblemError as `JwtVerifier.verify`. */
  verify(token: string): Promise<Principal> {
    return this.#verifier.verify(token)
  }
}
