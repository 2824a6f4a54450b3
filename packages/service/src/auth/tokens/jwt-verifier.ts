import { createHash } from 'node:crypto'
import { type Clock, type ErrorCode, ProblemError } from '@tributary/protocol'
import { errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import { Compile } from 'typebox/compile'
import { isReservedUser, type Principal } from '../principal.ts'
import type { JwtAlgorithm } from './jwt-keys.ts'
import { OWN_ISSUER } from './own-token.ts'
import { TokenClaims } from './token-claims.ts'

/** Longer ones are not looked at. */
const MAX_TOKEN_LENGTH = 8_192
/** Verified tokens that are remembered: the newest, so that a reader who comes back costs no signature. */
const MAX_REMEMBERED = 20_000

const claimsCheck = Compile(TokenClaims)

export interface JwtVerifierOptions {
  readonly keys: JWTVerifyGetKey
  /** Which a token may be signed by, whatever it says of itself. */
  readonly algorithms: readonly JwtAlgorithm[]
  /** Who must have issued it. Default: anybody who has the key. */
  readonly issuer?: string
  /** Whom it must be for. Default: anybody. */
  readonly audience?: string
  /** How far the issuer's clock may be off, in seconds. Default 5. */
  readonly leewayS?: number
  readonly clock: Clock
  /** Whom the claims stand for. Default: as any token's. @throws ProblemError where they do not hold together. */
  readonly principalOf?: (payload: unknown) => Principal
}

/** Verifies signed tokens (RFC 7519). */
export class JwtVerifier {
  readonly #options: JwtVerifierOptions
  readonly #expected: JWTVerifyOptions
  readonly #leewayS: number
  readonly #remembered = new LRUCache<string, Principal>({ max: MAX_REMEMBERED })

  constructor(options: JwtVerifierOptions) {
    const { algorithms, issuer, audience, leewayS = 5 } = options
    this.#options = options
    this.#leewayS = leewayS
    this.#expected = {
      algorithms: [...algorithms],
      clockTolerance: leewayS,
      requiredClaims: ['sub', 'exp'],
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    }
  }

  /**
   * Whom a token stands for.
   *
   * @throws ProblemError `token_invalid`, `token_expired`, `token_not_yet_valid`, `token_wrong_issuer`,
   *   `token_wrong_audience`; `keys_unavailable` where the keys to verify it with cannot be had now.
   */
  async verify(token: string): Promise<Principal> {
    if (token.length > MAX_TOKEN_LENGTH)
      throw refusal('token_invalid', `A token of more than ${MAX_TOKEN_LENGTH} characters`)
    // Not the token itself, which is as good as a password.
    const key = createHash('sha256').update(token).digest('base64')
    const known = this.#remembered.get(key)
    if (known !== undefined && !this.#isOver(known)) return known
    const principal = await this.#read(token)
    this.#remembered.set(key, principal)
    return principal
  }

  #isOver({ expiresAt }: Principal): boolean {
    return expiresAt !== undefined && this.#options.clock.now() >= expiresAt + this.#leewayS * 1_000
  }

  #checkForeign({ iss, iat = 0 }: JWTPayload): void {
    if (iss === OWN_ISSUER) throw refusal('token_wrong_issuer', 'Its issuer is not the one that is accepted')
    // By it a revocation tells what is older: one that is ahead would outlast all of them.
    if (iat * 1_000 > this.#options.clock.now() + this.#leewayS * 1_000)
      throw refusal('token_not_yet_valid', 'It says that it was issued in the future')
  }

  async #read(token: string): Promise<Principal> {
    const { keys, clock, issuer, principalOf = principalOfPayload } = this.#options
    try {
      const currentDate = new Date(clock.now())
      const { payload } = await jwtVerify(token, keys, { ...this.#expected, currentDate })
      if (issuer !== OWN_ISSUER) this.#checkForeign(payload)
      const principal = principalOf(payload)
      if (isReservedUser(principal.userId))
        throw refusal('token_invalid', 'Its user is one of an anonymous stream')
      return principal
    } catch (error) {
      throw problemOf(error)
    }
  }
}

function principalOfPayload(payload: unknown): Principal {
  if (claimsCheck.Check(payload)) return principalOfClaims(payload)
  throw refusal('token_invalid', faultOf(payload))
}

/** Whom claims stand for that are as they must be. */
export function principalOfClaims({
  sub,
  jti,
  exp,
  iat,
  roles = [],
  groups,
  publish,
  metadata = {},
}: TokenClaims): Principal {
  return {
    userId: sub,
    roles,
    method: 'token',
    metadata,
    expiresAt: exp * 1_000,
    ...(jti === undefined ? {} : { tokenId: jti }),
    ...(iat === undefined ? {} : { issuedAt: iat * 1_000 }),
    ...(groups === undefined ? {} : { groups }),
    ...(publish === undefined ? {} : { publish }),
  }
}

function faultOf(payload: unknown): string {
  const [fault] = claimsCheck.Errors(payload)
  const claim = fault?.instancePath.split('/')[1]
  return claim === undefined
    ? 'Its claims are not as they must be'
    : `Its claim ${JSON.stringify(claim)} ${fault?.message}`
}

/** Why a token is refused, by what was thrown at it. */
export function problemOf(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error
  if (error instanceof errors.JWTExpired) return refusal('token_expired', 'Its time is over')
  if (error instanceof errors.JWTClaimValidationFailed) return claimRefusal(error)
  if (error instanceof errors.JOSEAlgNotAllowed)
    return refusal('token_invalid', 'Its algorithm is not one that is accepted')
  if (error instanceof errors.JWKSNoMatchingKey) return refusal('token_invalid', 'Its key is not known')
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return refusal('token_invalid', 'Its signature is wrong')
  if (error instanceof errors.JWEDecryptionFailed)
    return refusal('token_invalid', 'It was not encrypted with the key that is known')
  return refusal('token_invalid', 'It is no signed token')
}

function claimRefusal({ claim, reason }: errors.JWTClaimValidationFailed): ProblemError {
  if (claim === 'iss') return refusal('token_wrong_issuer', 'Its issuer is not the one that is accepted')
  if (claim === 'aud') return refusal('token_wrong_audience', 'It is for somebody else')
  if (claim === 'nbf' && reason === 'check_failed')
    return refusal('token_not_yet_valid', 'Its time has not begun')
  return refusal(
    'token_invalid',
    `Its claim ${JSON.stringify(claim)} is ${reason === 'missing' ? 'missing' : 'wrong'}`,
  )
}

/** Why a token does not count. */
export function refusal(code: ErrorCode, why: string): ProblemError {
  return new ProblemError(code, `${why}; send another token.`, {
    headers: {
      'WWW-Authenticate': `Bearer error="invalid_token", error_description="${why.replaceAll('"', "'")}"`,
    },
  })
}
