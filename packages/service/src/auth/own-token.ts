import { decodeJwt } from 'jose'

/** The `iss` of the tokens that we sign ourselves. What says so is never taken for one of somebody else's. */
export const OWN_ISSUER = 'tributary'

/** The `aud` of our stream tokens. Each kind of ours has its own, so that none can be used as another. */
export const STREAM_AUDIENCE = 'tributary:stream'

/** The `aud` of the token in a session cookie. */
export const SESSION_AUDIENCE = 'tributary:session'

/** Whether a token says that it is one of ours. It is not verified by that. */
export function isOwnToken(token: string): boolean {
  try {
    return decodeJwt(token).iss === OWN_ISSUER
  } catch {
    return false
  }
}
