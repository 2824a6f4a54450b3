import { parseCookie } from 'cookie'
import type { FastifyRequest } from 'fastify'

/** Cookies by their names. */
export type Cookies = Readonly<Record<string, string | undefined>>

/** What a request is known by. */
export type Credentials = Pick<FastifyRequest, 'query' | 'headers'> & {
  /** Default: they are read from the headers. */
  readonly cookies?: Cookies | null
  readonly socket: { readonly remoteAddress?: string | undefined }
}

/** The token of the first carrier that is there; empty where it holds none, or several. */
export function tokenOf({ query, headers }: Credentials): string | undefined {
  if (typeof query === 'object' && query !== null && 'token' in query) {
    return typeof query.token === 'string' ? query.token : ''
  }
  const bearer = /^bearer(?: +(.*))?$/i.exec(headers.authorization ?? '')
  if (bearer !== null) return bearer[1]?.trim() ?? ''
  const header = headers['x-auth-token']
  return header === undefined ? undefined : [header].flat().join().trim()
}

/** What `?userId=` holds; undefined where it is not there. */
export function namedUserOf(request: Credentials): unknown {
  return parameterOf(request, 'userId')
}

/** What `?sessionId=` holds; undefined where it is not there. */
export function namedSessionOf(request: Credentials): unknown {
  return parameterOf(request, 'sessionId')
}

/** The cookies that came along; of two of one name the first, which is the one of the longer path (RFC 6265, 5.4). */
export function cookiesOf({ cookies, headers }: Credentials): Cookies {
  return cookies ?? parseCookie(headers.cookie ?? '')
}

/** A request whose `?userId=` does not say who sends it. */
export function namingNobody({ query, headers, socket, cookies = null }: Credentials): Credentials {
  const asked = typeof query === 'object' ? { ...query, userId: undefined } : query
  return { query: asked, headers, socket, cookies }
}

function parameterOf({ query }: Credentials, name: string): unknown {
  if (typeof query !== 'object' || query === null || !Object.hasOwn(query, name)) return undefined
  return Reflect.get(query, name)
}
