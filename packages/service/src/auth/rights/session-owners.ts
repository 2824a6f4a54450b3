import { ProblemError } from '@tributary/protocol'
import { isReservedUser, type Principal } from '../principal.ts'
import { ownerSeenBy } from './ownership.ts'

/**
 * Whose the sessions are that clients name: each is whose it was first named by, so that nobody gets another's events by
 * naming it. An anonymous one becomes that of the user who signs in with it, for good.
 */
export interface SessionOwners {
  /** Lets on whose the session is, or is from now on, and the admin. @throws ProblemError `forbidden` */
  claim(sessionId: string, principal: Principal): Promise<void>
}

/**
 * What comes of naming a session that is `ownerId`'s, or nobody's: it is `kept` by who names it, becomes his (`named`; or
 * `taken`, from an anonymous one), he is `let` on as an admin, or it is an `others`’.
 */
export type SessionClaim = 'kept' | 'named' | 'taken' | 'let' | 'others'

export function claimOf(ownerId: string | undefined, principal: Principal): SessionClaim {
  if (ownerId === undefined) return 'named'
  if (ownerId === principal.userId) return 'kept'
  if (ownerSeenBy(principal) === undefined) return 'let'
  return principal.method === 'anonymous' || !isReservedUser(ownerId) ? 'others' : 'taken'
}

export function othersSession(sessionId: string): ProblemError {
  return new ProblemError(
    'forbidden',
    `The session ${JSON.stringify(sessionId)} is another user’s; take a "sessionId" of your own.`,
  )
}
