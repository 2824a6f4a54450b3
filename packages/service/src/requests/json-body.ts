import { ProblemError } from '@tributary/protocol'
import type { FastifyRequest } from 'fastify'
import type { App } from '../app.ts'

/** The most levels of arrays and objects in a body. Beyond some thousands JSON.stringify would fail on it. */
const MAX_JSON_DEPTH = 200

/**
 * Makes `application/json` the one type a body may have.
 *
 * Keys that would reach an object's prototype (`__proto__`, `constructor.prototype`) are refused. A route
 * without a body schema takes an empty body also where the client said JSON, as many clients always do.
 */
export function acceptJsonOnly(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    const encoding = request.headers['content-encoding'] ?? 'identity'
    if (encoding !== 'identity') {
      done(encoded(encoding), undefined)
      return
    }
    if (body.trim() === '') {
      if (request.routeOptions.schema?.body === undefined) done(null, undefined)
      else done(emptyBody(request), undefined)
      return
    }
    parse(request, body, (error, value) => {
      if (error) done(notJson(body), undefined)
      else if (isDeep(value)) done(tooDeep(), undefined)
      else done(null, value)
    })
  })
}

function encoded(encoding: string): ProblemError {
  const detail = `Send the body without Content-Encoding; it came as ${encoding.slice(0, 100)}.`
  return new ProblemError('unsupported_media_type', detail, { headers: { 'Accept-Encoding': 'identity' } })
}

function emptyBody(request: FastifyRequest): ProblemError {
  const path = request.url.split('?', 1)[0]
  return new ProblemError('invalid_json', `The body is empty; ${request.method} ${path} needs JSON in it.`)
}

function notJson(body: string): ProblemError {
  try {
    JSON.parse(body)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return new ProblemError('invalid_json', `The body cannot be read as JSON: ${reason}.`)
  }
  return new ProblemError(
    'invalid_request',
    'The body must not hold the key "__proto__", nor "constructor" with "prototype" in it; remove it.',
  )
}

/** Goes level by level, not by calls: what this is against would overflow the stack. */
function isDeep(value: unknown): boolean {
  let level = [value].filter((item) => typeof item === 'object')
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth >= MAX_JSON_DEPTH) return true
    level = level.flatMap((item) => Object.values(item ?? {})).filter((item) => typeof item === 'object')
  }
  return false
}

function tooDeep(): ProblemError {
  return new ProblemError(
    'invalid_request',
    `The body nests more than ${MAX_JSON_DEPTH} levels; send a flatter one.`,
  )
}
