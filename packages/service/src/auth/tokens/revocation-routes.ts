import {
  DEFAULT_REVOCATION_LIMIT,
  ProblemError,
  RevocationAnswer,
  RevocationList,
  RevocationListQuery,
  RevocationTarget,
} from '@tributary/protocol'
import Type from 'typebox'
import type { App } from '../../app.ts'
import { principalOf } from '../authenticate-requests.ts'
import type { Revocations } from './revocations.ts'

const URL = '/api/auth/revocations'
const tags = ['auth']

export interface RevocationRoutesOptions {
  readonly revocations: Revocations
  /** Ends the streams that are open with what is revoked. Answers how many there were. */
  readonly endRevoked: () => number
}

/** The routes by which an admin revokes a user's tokens, or one, and takes that back. */
export function addRevocations(app: App, { revocations, endRevoked }: RevocationRoutesOptions): void {
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
      const adding = revocations.add(request.body)
      // Not before it holds, and not only once it is stored.
      const closed = endRevoked()
      const revocation = await adding
      request.log.info({ ...request.body, by: principalOf(request).userId, closed }, 'revoked')
      return { success: true as const, closed, revocation }
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
      if (!(await revocations.lift(request.query)))
        throw new ProblemError('revocation_not_found', 'This is not revoked, or is no longer.')
      request.log.info({ ...request.query, by: principalOf(request).userId }, 'revocation lifted')
      return { success: true as const }
    },
  )
}
