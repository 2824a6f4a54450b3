import type { IncomingHttpHeaders } from 'node:http'
import type { Credentials } from './credentials.ts'

/** A request of Node, Fastify, Express and the like, or one of the web platform, as Next.js, Hono and others have. */
export type AskedRequest = Request | NodeRequest

interface NodeRequest {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly socket?: { readonly remoteAddress?: string | undefined } | undefined
}

/** What is looked at of a request, wherever it comes from. */
export interface ReadRequest extends Credentials {
  readonly method: string
}

/** @param address whose request it is, where the request itself does not know. */
export function readRequest(request: AskedRequest, address?: string): ReadRequest {
  const { method = 'GET', url = '/' } = request
  // A request of Node has no more than a path.
  const { searchParams, host } = new URL(url, 'http://localhost')
  const query = queryOf(searchParams)
  if (isWebRequest(request)) {
    const headers: IncomingHttpHeaders = { host, ...Object.fromEntries(request.headers) }
    return { method, query, headers, socket: { remoteAddress: address } }
  }
  const socket = request.socket ?? {}
  return {
    method,
    query,
    headers: request.headers,
    socket: address === undefined ? socket : { remoteAddress: address },
  }
}

function isWebRequest(request: AskedRequest): request is Request {
  return 'get' in request.headers && typeof request.headers.get === 'function'
}

/** A name that comes twice has a list, as Fastify has it. */
function queryOf(parameters: URLSearchParams): Record<string, string | string[]> {
  const names = new Set(parameters.keys())
  return Object.fromEntries(
    [...names].map((name) => {
      const values = parameters.getAll(name)
      return [name, values.length === 1 ? (values[0] ?? '') : values]
    }),
  )
}
