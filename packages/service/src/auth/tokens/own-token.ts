import { decodeJwt } from 'jose'

/** The `iss` of the tokens that we sign ourselves. What says so is never taken for one of somebody else's. */
export const OWN_ISSUER = 'tributary'

/** The `aud` of our stream tokens. Each kind of ours has its own, so that none can be used as another. */
export const STREAM_AUDIENCE = 'tributary:stream'

/** The `aud` of the token in a session cookie. */
export const SESSION_AUDIENCE = 'tributary:session'

/** The `aud` of what the gateway shows its workers. */
export const WORKER_AUDIENCE = 'tributary:worker'

/**
 * What a token that says that it is one of ours is for; empty where it does not say that, and `undefined` of one that
 * is none of ours. It is not verified by that: it only decides by which key it will be.
 */
export function ownAudienceOf(token: string): string | undefined {
  try {
    const { iss, aud } = decodeJwt(token)
    if (iss !== OWN_ISSUER) return undefined
    return typeof aud === 'string' ? aud : ''
  } catch {
    return undefined
  }
}
