import type { HttpMethod } from '@tributary/protocol'
import type { FetchAnswer } from './open-stream.ts'
import type { StreamError } from './stream-error.ts'

/** What is asked for a stream. */
export interface StreamRequest {
  readonly url: string
  readonly method: HttpMethod
  readonly body?: string
}

/** Statuses by which a server says that it has begun nothing. */
const REFUSALS: ReadonlySet<number> = new Set([429, 503])

/**
 * Whether the same request may be sent again after this failure. What a POST began must not be begun twice; only a
 * refusal says that nothing has.
 */
export function mayRepeat({ method }: StreamRequest, failure: StreamError | undefined): boolean {
  return method === 'GET' || (failure?.status !== undefined && REFUSALS.has(failure.status))
}

/**
 * Where a stream goes on once it stands: a GET at its own address, what a POST began at the address of its run,
 * where the answer names one (`Run-Id`, `Location`). The query stays, for it may hold a token.
 */
export function continuation(
  request: StreamRequest,
  { headers, url }: { readonly headers: FetchAnswer['headers']; readonly url: string },
): StreamRequest {
  const location = headers.get('location')
  if (request.method === 'GET' || location === null || headers.get('run-id') === null) return request
  const run = URL.parse(location, url)
  if (run === null) return request
  const { origin, search } = new URL(url)
  // The headers may be secret: they are for this server alone.
  if (run.origin !== origin) return request
  run.pathname += '/events'
  run.search ||= search
  return { url: run.href, method: 'GET' }
}
