import { type ErrorCode, ProblemError } from '@tributary/protocol'
import type { FastifyRequest } from 'fastify'
import { isValidationError, validationProblem } from './validation-problem.ts'

/** What of a request the words of a problem may name. */
type FailedRequest = Pick<FastifyRequest, 'id' | 'headers' | 'raw' | 'routeOptions'>

/** The code for a status that another library chose. */
const CODE_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'request_timeout',
  413: 'payload_too_large',
  414: 'uri_too_long',
  415: 'unsupported_media_type',
  429: 'rate_limited',
  431: 'headers_too_large',
}

/** Turns whatever was thrown into the problem it is answered with. What nobody foresaw tells nothing of itself. */
export function toProblemError(thrown: unknown, request: FailedRequest): ProblemError {
  if (thrown instanceof ProblemError) return thrown
  if (!(thrown instanceof Error)) return internalError(thrown, request)
  if (isValidationError(thrown)) return validationProblem(thrown)
  return fastifyError(thrown, request) ?? otherError(thrown, request)
}

function fastifyError(error: Error, request: FailedRequest): ProblemError | undefined {
  switch (codeOf(error)) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ProblemError(
        'payload_too_large',
        `The body is larger than the ${request.routeOptions.bodyLimit} bytes that are taken here; send less.`,
      )
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE':
      return unsupportedMediaType(request.headers['content-type'])
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return cutOff(error)
    case 'FST_ERR_BAD_URL':
      return new ProblemError(
        'invalid_request',
        'The path is not percent-encoded UTF-8; encode each of its parts, for example with encodeURIComponent.',
      )
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new ProblemError('uri_too_long', 'A part of the path is too long; shorten it.')
    case 'ECONNRESET':
      // Node's word for a request whose sender went away; the same from a handler is its own affair.
      return request.raw.destroyed && !request.raw.complete ? cutOff(error) : undefined
    default:
      return undefined
  }
}

function otherError(error: Error, request: FailedRequest): ProblemError {
  const status = 'statusCode' in error ? error.statusCode : undefined
  const code = typeof status === 'number' ? CODE_BY_STATUS[status] : undefined
  return code === undefined
    ? internalError(error, request)
    : new ProblemError(code, error.message, { cause: error })
}

function internalError(cause: unknown, request: FailedRequest): ProblemError {
  return new ProblemError(
    'internal_error',
    `The server failed at this request; its log has the reason under reqId ${request.id}.`,
    { cause },
  )
}

function cutOff(cause: Error): ProblemError {
  return new ProblemError('invalid_request', 'The body was cut off before its end; send it again whole.', {
    cause,
  })
}

function unsupportedMediaType(given: string | undefined): ProblemError {
  const came = given === undefined ? 'it came without a Content-Type' : `it came as ${given.slice(0, 100)}`
  return new ProblemError(
    'unsupported_media_type',
    `Send the body with Content-Type: application/json; ${came}.`,
    { headers: { Accept: 'application/json' } },
  )
}

function codeOf(error: Error): unknown {
  return 'code' in error ? error.code : undefined
}
