import {
  DEFAULT_REVOCATION_LIMIT,
  ProblemError,
  RevocationAnswer,
  RevocationList,
  RevocationListQuery,
  RevocationTarget,
  unreachableOf,
} from '@tributary/protocol'
import Type from 'typebox'
import type { App } from '../../app.ts'
import { principalOf } from '../authenticate-requests.ts'
import type { Revocations } from './revocations.ts'
import type { Revoker } from './revoker.ts'

const URL = '/api/auth/revocations'
const tags = ['auth']

export interface RevocationRoutesOptions {
  readonly revocations: Revocations
  /** How it comes to be in force at all nodes. */
  readonly revoker: Revoker
}

/** The routes by which an admin revokes a user's tokens, or one, and takes that back. */
export function addRevocations(app: App, { revocations, revoker }: RevocationRoutesOptions): void {
  app.post(
    URL,
    {
      schema: {
        tags,
        summary: "Revoke a user's tokens, or one",
        description:
          'Their streams end at once, with `forced`; what was issued up to now is refused as `token_revoked`. A 503 ' +
          'says that it holds, but would not survive a restart: ask again.',
        body: RevocationTarget,
        response: { 200: RevocationAnswer },
      },
    },
    async (request) => {
      const { revocation, closed, acknowledged, unreachable } = await revoker.revoke(request.body)
      request.log.info({ ...request.body, by: principalOf(request).userId, closed, unreachable }, 'revoked')
      return {
        success: true as const,
        closed,
        revocation,
        acknowledged: [...acknowledged],
        ...unreachableOf(unreachable),
      }
    },
  )
  app.get(
    URL,
    {
      schema: {
        tags,
        summary: 'What is revoked',
        querystring: RevocationListQuery,
        response: { 200: RevocationList },
      },
    },
    async ({ query: { limit = DEFAULT_REVOCATION_LIMIT, after } }) => revocations.list(limit, after),
  )
  app.delete(
    URL,
    {
      config: { isAboutUser: true },
      schema: {
        tags,
        summary: 'Take a revocation back',
        querystring: RevocationTarget,
        response: { 200: Type.Object({ success: Type.Literal(true) }) },
      },
    },
    async (request) => {
      if (!(await revoker.lift(request.query)))
        throw new ProblemError('revocation_not_found', 'This is not revoked, or is no longer.')
      request.log.info({ ...request.query, by: principalOf(request).userId }, 'revocation lifted')
      return { success: true as const }
    },
  )
}
