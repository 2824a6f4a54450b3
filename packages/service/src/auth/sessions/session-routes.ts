import { ProblemError } from '@tributary/protocol'
import Type from 'typebox'
import type { App } from '../../app.ts'
import { type CrossOriginConfig, originsOf } from '../../web/cross-origin.ts'
import { principalOf } from '../authenticate-requests.ts'
import type { Principal } from '../principal.ts'
import { OriginCheck } from './origin-check.ts'
import type { SessionCookies } from './session-cookies.ts'

const URL = '/api/auth/session'

const SessionAnswer = Type.Object(
  {
    userId: Type.String(),
    expiresAt: Type.Number({ description: 'Milliseconds since 1970.' }),
  },
  { title: 'Session' },
)

export interface SessionRoutesOptions {
  /** Without them there are no routes. */
  readonly sessionCookies: SessionCookies | undefined
  /** Whose pages may sign in, beside the server's own. */
  readonly config: Pick<CrossOriginConfig, 'CORS_ORIGINS'>
}

/** The routes by which a page that has a token gets a session cookie for it, and leaves it. */
export function addSessionRoutes(app: App, { sessionCookies, config }: SessionRoutesOptions): void {
  if (sessionCookies === undefined) return
  const pages = new OriginCheck(originsOf(config))
  const tags = ['auth']
  app.post(
    URL,
    {
      config: { rateClass: 'requests' },
      schema: {
        tags,
        summary: 'Get a session cookie for the token that is sent',
        description:
          'It has the rights of the token, and lasts no longer. An EventSource then needs no token.',
        response: { 200: SessionAnswer },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      if (principal.method === 'session' || principal.signIn !== undefined)
        throw new ProblemError(
          'forbidden',
          'A session is got with the token that one signs in with; to leave the present one, send DELETE here.',
        )
      // Else a page anywhere could sign its visitors in as somebody of its own, by a token in the address.
      pages.check(request.raw, 'reads')
      const { setCookie, expiresAt } = await issue(sessionCookies, principal)
      reply.headers({ 'set-cookie': setCookie, 'cache-control': 'no-store' })
      return { userId: principal.userId, expiresAt }
    },
  )
  app.delete(
    URL,
    {
      config: { auth: 'none' },
      schema: {
        tags,
        summary: 'Remove the session cookie',
        response: { 200: Type.Object({ success: Type.Literal(true) }) },
      },
    },
    async (request, reply) => {
      pages.check(request.raw, 'reads')
      reply.header('set-cookie', sessionCookies.clear())
      return { success: true as const }
    },
  )
}

async function issue(sessionCookies: SessionCookies, principal: Principal) {
  try {
    return await sessionCookies.issue(principal)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new ProblemError('payload_too_large', `${error.message}.`, { cause: error })
  }
}
