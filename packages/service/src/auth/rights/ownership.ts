import { ProblemError } from '@tributary/protocol'
import type { FastifyRequest } from 'fastify'
import { principalOf } from '../authenticate-requests.ts'
import { ADMIN, type Principal } from '../principal.ts'

/** Lets on the principal whose this is, and the admin. @throws ProblemError `forbidden`, `unauthorized` */
export function requireOwner(request: Pick<FastifyRequest, 'principal'>, userId: string | undefined): void {
  checkOwner(principalOf(request), userId)
}

/** The same of a principal. @throws ProblemError `forbidden` */
export function checkOwner(principal: Pick<Principal, 'userId' | 'roles'>, userId: string | undefined): void {
  if (ownerSeenBy(principal) === undefined || principal.userId === userId) return
  throw new ProblemError('forbidden', 'This is another user’s; use a token of that user, or of an admin.')
}

/** Whose things a principal sees: his own alone; `undefined` for the admin, who sees everybody's. */
export function ownerSeenBy({ userId, roles }: Pick<Principal, 'userId' | 'roles'>): string | undefined {
  return roles.includes(ADMIN) ? undefined : userId
}
