import { isTaskErrorCode, type TaskErrorCode } from '@tributary/protocol'

export interface ClassifiedError {
  readonly code: TaskErrorCode
  /** For people, and safe to show to whoever asked for the call: no address, nothing that a name resolved to. */
  readonly message: string
}

const failure = (code: TaskErrorCode, message: string): ClassifiedError => ({ code, message })

const FAILED = failure('task_failed', 'Task failed')
const CANCELLED = failure('cancelled', 'Cancelled')
const TIMED_OUT = failure('task_timeout', 'Task timeout')
const DNS_FAILED = failure('dns_failed', 'Name lookup failed')
const NOT_FOUND = failure('dns_failed', 'Host not found')
const REFUSED = failure('connection_refused', 'Connection refused')
const UNREACHABLE = failure('connection_refused', 'Host unreachable')
const RESET = failure('connection_reset', 'Connection reset')
const CONNECT_TIMEOUT = failure('connect_timeout', 'Connection timeout')
const UNTRUSTED = failure('tls_failed', 'Certificate not trusted')
const NO_TLS = failure('tls_failed', 'TLS failed')
const NOT_HTTP = failure('task_failed', 'Answer is not valid HTTP')
const TOO_MUCH_HEADER = failure('task_failed', 'Headers of the answer are too large')

/** By the `code` of Node, OpenSSL, c-ares and undici. */
const BY_CODE: ReadonlyMap<string, ClassifiedError> = new Map([
  ...each(NOT_FOUND, 'ENOTFOUND', 'ENODATA', 'ENONAME', 'EAI_NONAME', 'EAI_NODATA'),
  ...each(
    DNS_FAILED,
    'EAI_AGAIN',
    'EAI_FAIL',
    'EAI_MEMORY',
    'EAI_SERVICE',
    'EAI_SYSTEM',
    'ESERVFAIL',
    'EREFUSED',
  ),
  ...each(
    DNS_FAILED,
    'EBADNAME',
    'EBADRESP',
    'EFORMERR',
    'ENOTIMP',
    'ETIMEOUT',
    'EDESTRUCTION',
    'ECANCELLED',
  ),
  ...each(REFUSED, 'ECONNREFUSED'),
  ...each(
    UNREACHABLE,
    'EHOSTUNREACH',
    'ENETUNREACH',
    'EHOSTDOWN',
    'ENETDOWN',
    'EADDRNOTAVAIL',
    'EACCES',
    'EPERM',
  ),
  ...each(RESET, 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ENOTCONN', 'UND_ERR_SOCKET', 'UND_ERR_INFO'),
  ...each(
    RESET,
    'ERR_STREAM_PREMATURE_CLOSE',
    'HPE_INVALID_EOF_STATE',
    'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  ),
  ...each(CONNECT_TIMEOUT, 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT'),
  ...each(TIMED_OUT, 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'),
  ...each(failure('tls_failed', 'Certificate expired'), 'CERT_HAS_EXPIRED'),
  ...each(
    failure('tls_failed', 'Certificate is for another host'),
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'HOSTNAME_MISMATCH',
  ),
  ...each(
    UNTRUSTED,
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'INVALID_CA',
    'INVALID_PURPOSE',
  ),
  ...each(UNTRUSTED, 'PATH_LENGTH_EXCEEDED'),
  ...each(NO_TLS, 'EPROTO'),
  ...each(CANCELLED, 'UND_ERR_DESTROYED', 'UND_ERR_CLOSED'),
  ...each(failure('body_too_large', 'Body too large'), 'UND_ERR_RES_EXCEEDED_MAX_SIZE'),
  ...each(TOO_MUCH_HEADER, 'UND_ERR_HEADERS_OVERFLOW', 'HPE_HEADER_OVERFLOW'),
  ...each(failure('task_failed', 'Invalid URL'), 'ERR_INVALID_URL'),
  ...each(failure('task_failed', 'Invalid request'), 'UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED'),
  ...each(failure('task_failed', 'Invalid request'), 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH'),
])

const BY_PREFIX: readonly (readonly [RegExp, ClassifiedError])[] = [
  [/^(?:CERT_|CRL_|UNABLE_TO_|ERROR_IN_(?:CERT|CRL)_)/, UNTRUSTED],
  [/^ERR_(?:TLS|SSL)_/, NO_TLS],
  [/^HPE_/, NOT_HTTP],
]

/** fetch wraps, undici wraps, abort reasons are wrapped: no honest chain is longer. */
const MAX_DEPTH = 8

/**
 * Why a call failed, in the codes of a task. Takes whatever `OutboundClient` throws: errors of
 * undici, Node, TLS and DNS, several of them in one, and the reason of an abort.
 *
 * An error whose own `code` is a task's error code is taken at its word, its message too; so whoever aborts
 * can say why. Any other abort is `cancelled`, or `task_timeout` where a timer did it.
 */
export function classifyError(error: unknown): ClassifiedError {
  // Nothing here throws what is no error, except the reason of an abort that the caller chose.
  if (!(error instanceof Error) && error !== undefined) return CANCELLED
  return classify(error, 0) ?? FAILED
}

function classify(error: unknown, depth: number): ClassifiedError | undefined {
  if (!(error instanceof Error) || depth > MAX_DEPTH) return undefined
  const code = textOf(error, 'code')
  if (isTaskErrorCode(code)) return failure(code, error.message)
  // The code of several is that of the first, which need not be the one that tells.
  if (error instanceof AggregateError) return mostTelling(error.errors, depth) ?? byCode(error, code)
  return byCode(error, code) ?? classify(error.cause, depth + 1) ?? byName(error.name)
}

/** Of a connect to several addresses: that IPv6 leads nowhere says little where IPv4 was refused. */
function mostTelling(errors: readonly unknown[], depth: number): ClassifiedError | undefined {
  const found = errors.map((error) => classify(error, depth + 1)).filter((each) => each !== undefined)
  return (
    found.find((each) => each === CONNECT_TIMEOUT) ?? found.find((each) => each !== UNREACHABLE) ?? found[0]
  )
}

function byCode(error: Error, code: string | undefined): ClassifiedError | undefined {
  if (code === undefined) return undefined
  const syscall = textOf(error, 'syscall')
  const found = BY_CODE.get(code) ?? BY_PREFIX.find(([prefix]) => prefix.test(code))?.[1]
  // A name server refuses and times out under the same codes as the host itself.
  if (syscall === 'getaddrinfo' || syscall?.startsWith('query') === true) {
    return found?.code === 'dns_failed' ? found : DNS_FAILED
  }
  // A connection that was there, and whose other side no longer confirms anything.
  return code === 'ETIMEDOUT' && (syscall === 'read' || syscall === 'write') ? RESET : found
}

function byName(name: string): ClassifiedError | undefined {
  if (name === 'AbortError') return CANCELLED
  if (name === 'TimeoutError') return TIMED_OUT
  // Not every one of them has its parser's code.
  return name === 'HTTPParserError' ? NOT_HTTP : undefined
}

function textOf(error: Error, key: 'code' | 'syscall'): string | undefined {
  const value: unknown = Reflect.get(error, key)
  return typeof value === 'string' ? value : undefined
}

function each(what: ClassifiedError, ...codes: readonly string[]): [string, ClassifiedError][] {
  return codes.map((code) => [code, what])
}
