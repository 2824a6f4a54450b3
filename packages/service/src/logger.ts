import type { FastifyRequest } from 'fastify'
import { LogController } from 'fastify'
import { type DestinationStream, type Logger, pino } from 'pino'

export interface LoggerOptions {
  /** Which service writes; the `name` of every line. */
  readonly name: string
  /** A pino level, or `silent`. */
  readonly level: string
  /** Default: standard output, written at once, so that nothing is lost when the process ends. */
  readonly destination?: DestinationStream
}

/** The logger of a service: JSON lines, without tokens, authorization headers or cookies. */
export function createLogger({ name, level, destination }: LoggerOptions): Logger {
  const options = {
    name,
    level,
    serializers: requestSerializers,
    redact: { paths: SECRET_PATHS, censor: REDACTED },
    hooks: { streamWrite: oneSafeLine },
  }
  return pino(options, destination ?? standardOutput())
}

/** What a handler logs by: the message first, as it reads best. */
export function messageFirst(logger: Pick<Logger, 'info' | 'warn' | 'error'>) {
  const at =
    (level: 'info' | 'warn' | 'error') =>
    (message: string, fields: object = {}) =>
      logger[level](fields, message)
  return { info: at('info'), warn: at('warn'), error: at('error') }
}

/** Written at once. Pino's own default tries a broken pipe again for ever, and so outlives whoever started it. */
function standardOutput(): DestinationStream {
  const output = pino.destination({ dest: 1, sync: true })
  output.on('error', () => undefined)
  return output
}

const REDACTED = '[redacted]'

/** A signed token, wherever it stands: in a path, or in a parameter of a name that nobody foresaw. */
const SIGNED_TOKEN = /eyJ[\w-]+\.[\w-]*\.[\w-]*(?:\.[\w-]*)*/g
/** What JSON leaves as it is, and some readers of logs, Node's readline among them, take for the end of a line. */
const LINE_ENDS = /[\u0085\u2028\u2029]/g

/** The last thing done to a line: nothing that a client sent can split it, or leave a token in it. */
function oneSafeLine(line: string): string {
  return line
    .replace(SIGNED_TOKEN, REDACTED)
    .replace(LINE_ENDS, (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Where a header would stand if somebody logged a request's headers whole. */
const SECRET_PATHS = ['headers', 'req.headers'].flatMap((at) =>
  ['authorization', 'cookie', '["x-auth-token"]'].map((name) =>
    name[0] === '[' ? at + name : `${at}.${name}`,
  ),
)

/** What of a request is logged: no headers, and the address without its token. */
export const requestSerializers = {
  req: (request: FastifyRequest) => ({
    method: request.method,
    url: redactToken(request.url),
    host: request.host,
    remoteAddress: request.ip,
    remotePort: request.socket?.remotePort,
  }),
}

/** The address without the values of parameters that are named for tokens, however that is written. */
function redactToken(url: string): string {
  const start = url.search(/[?;#]/)
  if (start === -1) return url
  return url.slice(0, start) + url.slice(start).replace(/([?&;#])([^&;#=]*)=[^&;#]*/g, redactPair)
}

function redactPair(pair: string, separator: string, name: string): string {
  return /token/i.test(decoded(name)) ? `${separator}${name}=${REDACTED}` : pair
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** One line a request, when it is over, instead of Fastify's two. */
export class RequestLog extends LogController {
  override incomingRequest(): void {}

  override requestCompleted(...[error, request, reply]: Parameters<LogController['requestCompleted']>): void {
    const fields = { req: request, res: reply, responseTime: reply.elapsedTime }
    if (error) reply.log.error({ ...fields, err: error }, 'request errored')
    else reply.log.info(fields, 'request completed')
  }
}
