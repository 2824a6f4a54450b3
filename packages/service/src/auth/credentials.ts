import type { FastifyRequest } from 'fastify'

/** What a request is known by. */
export type Credentials = Pick<FastifyRequest, 'query' | 'headers'> & {
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
export function namedUserOf({ query }: Credentials): unknown {
  return typeof query === 'object' && query !== null && 'userId' in query ? query.userId : undefined
}
