import type { ServerResponse } from 'node:http'
import { type ErrorCode, PROBLEM_CONTENT_TYPE, ProblemError } from '@tributary/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { App } from '../app.ts'
import { AllowedMethods, type AllowedMethodsOptions } from './allowed-methods.ts'
import { toProblemError } from './request-error.ts'

/** The route of @fastify/cors, by which a preflight finds its hook. It stands for no path of ours. */
const EVERY_PATH = '*'

/** The headers of a problem answer: its own, and `Retry-After` where it names a wait. */
export function problemHeaders({ headers, retryAfterS }: ProblemError): Record<string, string> {
  return {
    ...headers,
    ...(retryAfterS === undefined ? {} : { 'Retry-After': String(retryAfterS) }),
    'Content-Type': PROBLEM_CONTENT_TYPE,
    'Cache-Control': 'no-store',
  }
}

/** Answers with a problem (RFC 9457). */
function sendProblem(reply: FastifyReply, error: ProblemError): void {
  // A stream that has begun cannot become a problem any more; its reader sees it break off, and resumes.
  if (reply.raw.headersSent) {
    reply.raw.destroy()
    return
  }
  // Fastify would hang up while a body that is too large is still coming, and the sender would see a reset
  // instead of the answer. Node reads the rest away, within `requestTimeout`.
  if (error.code === 'payload_too_large') reply.removeHeader('connection')
  reply.code(error.statusCode).headers(problemHeaders(error)).send(JSON.stringify(error.toProblem()))
}

/** The same for what fails before there is a route, as a path that is not percent-encoded. */
export function writeProblem(response: ServerResponse, error: ProblemError): void {
  const body = JSON.stringify(error.toProblem())
  const headers = { 'Content-Length': String(Buffer.byteLength(body)), 'X-Content-Type-Options': 'nosniff' }
  response.writeHead(error.statusCode, { ...problemHeaders(error), ...headers }).end(body)
}

export interface ProblemAnswersOptions {
  /** Told of each problem that a request is answered with. */
  readonly onProblem?: (code: ErrorCode) => void
  /** What a request is refused with in place of an error; `undefined` for the error itself. */
  readonly instead?: (
    error: ProblemError,
    request: FastifyRequest,
    reply: FastifyReply,
  ) => Promise<ProblemError | undefined>
}

/** Makes every error of an app a problem. To be called before any route is there: each has the handler of its moment. */
export function answerProblems(app: App, { onProblem, instead }: ProblemAnswersOptions): void {
  app.setErrorHandler(async (thrown, request, reply) => {
    const first = toProblemError(thrown, request)
    const error = (await instead?.(first, request, reply)) ?? first
    if (error.code === 'internal_error') request.log.error({ err: thrown }, 'request failed')
    else request.log.debug({ code: error.code, detail: error.message }, 'request refused')
    onProblem?.(error.code)
    sendProblem(reply, error)
    return reply
  })
}

/** Refuses what does not exist, and methods that a path does not have. */
export function refuseUnknownPaths(app: App, options: AllowedMethodsOptions): void {
  const methods = new AllowedMethods(options)
  app.addHook('onRoute', ({ method, url }) => {
    if (url !== EVERY_PATH) methods.add(method, url)
  })

  // Before the body is read: what is sent to nowhere need not be valid.
  app.addHook('onRequest', async (request, reply) => {
    const { httpVersion } = request.raw
    // Node's parser takes others too, as HTTP/0.9 and a HTTP/2.0 in plain text.
    if (httpVersion !== '1.1' && httpVersion !== '1.0') {
      throw new ProblemError('invalid_request', `The request is of HTTP/${httpVersion}; send HTTP/1.1.`)
    }
    if (httpVersion === '1.1' && request.headers.host === undefined) {
      throw new ProblemError('invalid_request', 'The request names no Host; HTTP/1.1 needs that header.')
    }
    // Node would take the first, and what stands before the server perhaps the last (RFC 9112 §3.2).
    if (countOf('host', request.raw.rawHeaders) > 1) {
      throw new ProblemError('invalid_request', 'The request names more than one Host; send one.')
    }
    if (!request.is404 && request.routeOptions.url !== EVERY_PATH) return
    const allowed = methods.of(pathOf(request))
    if (allowed.length === 0) throw notFound(request)
    if (request.method !== 'OPTIONS') throw notAllowed(request, allowed)
    return reply.code(204).header('allow', allowed.join(', ')).send()
  })
  app.setNotFoundHandler((request) => {
    throw notFound(request)
  })
}

/** How often a header stands among Node's raw ones: names and values by turns. */
function countOf(name: string, rawHeaders: readonly string[]): number {
  return rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === name).length
}

function notFound(request: FastifyRequest): ProblemError {
  return new ProblemError(
    'not_found',
    `There is no ${request.method} ${pathOf(request)}; see /docs for what there is.`,
  )
}

function notAllowed(request: FastifyRequest, allowed: readonly string[]): ProblemError {
  const detail = `${pathOf(request)} does not take ${request.method}; use ${allowed.join(' or ')}.`
  return new ProblemError('method_not_allowed', detail, { headers: { Allow: allowed.join(', ') } })
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? request.url
}
