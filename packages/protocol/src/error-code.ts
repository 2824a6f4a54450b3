/** What kind of fault it is, for who counts faults, or decides by more than one code. */
export const ERROR_CATEGORIES = [
  'connection',
  'authentication',
  'rate_limit',
  'server',
  'client',
  'validation',
  'timeout',
] as const
export type ErrorCategory = (typeof ERROR_CATEGORIES)[number]

/**
 * What helps: the same request later (`retry`), another token (`reauthenticate`), to ask for pages instead of a stream
 * until there is room (`fallback_polling`), another request (`fix_request`), or nothing that a program can do (`none`).
 */
export const RECOVERIES = ['retry', 'reauthenticate', 'fallback_polling', 'fix_request', 'none'] as const
export type Recovery = (typeof RECOVERIES)[number]

/** What a code means to who need not know it: what kind it is, and what helps. */
export interface Fault {
  readonly category: ErrorCategory
  readonly recovery: Recovery
}

/** What a client reads in a problem answer besides its code. */
export interface ErrorRule extends Fault {
  /** The HTTP status. */
  readonly status: number
  /** One short sentence, the same each time. */
  readonly title: string
  /** Whether the same request may succeed later without being changed. */
  readonly retryable: boolean
}

const rule = (status: number, category: ErrorCategory, recovery: Recovery, title: string): ErrorRule => ({
  status,
  category,
  recovery,
  title,
  retryable: isRetryable(recovery),
})

function isRetryable(recovery: Recovery): boolean {
  return recovery === 'retry' || recovery === 'fallback_polling'
}

/** Every error that either service answers with: its code, its HTTP status, and whether trying again helps. */
export const ERROR_CODES = {
  invalid_request: rule(400, 'validation', 'fix_request', 'The request is not valid.'),
  invalid_json: rule(400, 'validation', 'fix_request', 'The body is not JSON.'),
  invalid_cursor: rule(400, 'validation', 'fix_request', 'The cursor is not one of ours.'),
  unauthorized: rule(401, 'authentication', 'reauthenticate', 'A valid token is needed.'),
  token_unknown: rule(401, 'authentication', 'reauthenticate', 'The token is not known.'),
  token_invalid: rule(401, 'authentication', 'reauthenticate', 'The token is not valid.'),
  token_expired: rule(401, 'authentication', 'reauthenticate', "The token's time is over."),
  token_revoked: rule(401, 'authentication', 'reauthenticate', 'The token was revoked.'),
  token_not_yet_valid: rule(401, 'authentication', 'reauthenticate', "The token's time has not begun."),
  token_wrong_issuer: rule(
    401,
    'authentication',
    'reauthenticate',
    'The token is not of the accepted issuer.',
  ),
  token_wrong_audience: rule(401, 'authentication', 'reauthenticate', 'The token is for somebody else.'),
  forbidden: rule(403, 'authentication', 'none', 'This is not allowed.'),
  origin_refused: rule(403, 'validation', 'fix_request', 'The endpoint is not among the allowed origins.'),
  cross_site_refused: rule(403, 'authentication', 'none', 'The request came from a page of another origin.'),
  not_found: rule(404, 'client', 'fix_request', 'There is nothing here.'),
  run_not_found: rule(404, 'client', 'none', 'There is no such run.'),
  revocation_not_found: rule(404, 'client', 'none', 'There is no such revocation.'),
  node_not_found: rule(404, 'client', 'none', 'There is no such node.'),
  connection_not_found: rule(404, 'client', 'none', 'There is no such connection.'),
  method_not_allowed: rule(405, 'client', 'fix_request', 'The method is not allowed here.'),
  connection_exists: rule(409, 'client', 'fix_request', 'A connection of this id is open.'),
  token_ends_earlier: rule(409, 'client', 'reauthenticate', "The token ends before the stream's own."),
  run_gone: rule(410, 'client', 'none', 'The run is no longer kept.'),
  payload_too_large: rule(413, 'validation', 'fix_request', 'The body is too large.'),
  event_too_large: rule(413, 'validation', 'fix_request', 'The event is too large.'),
  uri_too_long: rule(414, 'validation', 'fix_request', 'The address is too long.'),
  unsupported_media_type: rule(415, 'validation', 'fix_request', 'The body must be JSON.'),
  expectation_failed: rule(417, 'validation', 'fix_request', 'The expectation cannot be met.'),
  no_tasks: rule(422, 'validation', 'fix_request', 'There are no tasks.'),
  too_many_tasks: rule(422, 'validation', 'fix_request', 'There are too many tasks.'),
  duplicate_task_id: rule(422, 'validation', 'fix_request', 'Two tasks have the same id.'),
  invalid_task: rule(422, 'validation', 'fix_request', 'A task is not valid.'),
  unknown_handler: rule(422, 'validation', 'fix_request', 'No handler has this name.'),
  invalid_endpoint: rule(422, 'validation', 'fix_request', 'The endpoint is not valid.'),
  duplicate_source: rule(422, 'validation', 'fix_request', 'Two sources have the same name.'),
  address_refused: rule(422, 'validation', 'fix_request', 'The address may not be called.'),
  idempotency_conflict: rule(
    422,
    'validation',
    'fix_request',
    'The idempotency key was used for another request.',
  ),
  user_connection_limit: rule(429, 'rate_limit', 'fallback_polling', 'The user has too many connections.'),
  address_connection_limit: rule(
    429,
    'rate_limit',
    'fallback_polling',
    'The address has too many connections.',
  ),
  connect_rate_limited: rule(429, 'rate_limit', 'retry', 'Too many connections are opened at once.'),
  user_run_limit: rule(429, 'rate_limit', 'retry', 'The user has too many runs.'),
  user_task_limit: rule(429, 'rate_limit', 'retry', 'The user has too many open tasks.'),
  rate_limited: rule(429, 'rate_limit', 'retry', 'Too many requests were sent.'),
  headers_too_large: rule(431, 'validation', 'fix_request', 'The headers are too large.'),
  request_timeout: rule(408, 'timeout', 'retry', 'The request did not come in time.'),
  internal_error: rule(500, 'server', 'retry', 'The server made a mistake.'),
  upstream_failed: rule(502, 'connection', 'retry', 'The upstream did not answer as it should.'),
  upstream_unavailable: rule(503, 'connection', 'retry', 'No upstream is available.'),
  store_unavailable: rule(503, 'server', 'retry', 'Nothing can be stored now.'),
  keys_unavailable: rule(503, 'server', 'retry', 'Tokens cannot be verified now.'),
  node_unreachable: rule(503, 'connection', 'retry', 'A node could not be asked.'),
  draining: rule(503, 'server', 'retry', 'The server is about to stop.'),
  not_ready: rule(503, 'server', 'retry', 'The server cannot serve now.'),
  too_many_connections: rule(
    503,
    'connection',
    'fallback_polling',
    'The server has no room for another connection.',
  ),
  overloaded: rule(503, 'server', 'retry', 'The server has no room for this.'),
} as const satisfies Record<string, ErrorRule>

export type ErrorCode = keyof typeof ERROR_CODES

/** What is known of the failure of a task besides its code. */
export interface TaskErrorRule extends Fault {
  /** Whether the worker tries it again where the task is idempotent. */
  readonly retryable: boolean
}

const taskRule = (category: ErrorCategory, recovery: Recovery): TaskErrorRule => ({
  category,
  recovery,
  retryable: isRetryable(recovery),
})

/** Why a task failed. `recovery` is for who started it, and for the worker where the task is idempotent. */
export const TASK_ERROR_CODES = {
  dns_failed: taskRule('connection', 'retry'),
  connection_refused: taskRule('connection', 'retry'),
  connection_reset: taskRule('connection', 'retry'),
  tls_failed: taskRule('connection', 'none'),
  connect_timeout: taskRule('timeout', 'retry'),
  task_timeout: taskRule('timeout', 'retry'),
  deadline_exceeded: taskRule('timeout', 'none'),
  http_4xx: taskRule('client', 'fix_request'),
  http_5xx: taskRule('server', 'retry'),
  body_too_large: taskRule('server', 'none'),
  invalid_json: taskRule('server', 'none'),
  address_refused: taskRule('validation', 'fix_request'),
  secret_refused: taskRule('validation', 'fix_request'),
  cancelled: taskRule('client', 'none'),
  worker_lost: taskRule('server', 'none'),
  task_failed: taskRule('server', 'none'),
} as const satisfies Record<string, TaskErrorRule>

export type TaskErrorCode = keyof typeof TASK_ERROR_CODES

export function isTaskErrorCode(code: unknown): code is TaskErrorCode {
  return typeof code === 'string' && Object.hasOwn(TASK_ERROR_CODES, code)
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code)
}

/** What an event of a stream says of a failure beside its code. A code of a service newer than this one is its fault. */
export function faultOf(code: string): Fault {
  if (isTaskErrorCode(code)) return faultIn(TASK_ERROR_CODES[code])
  if (isErrorCode(code)) return faultIn(ERROR_CODES[code])
  return { category: 'server', recovery: 'none' }
}

function faultIn({ category, recovery }: Fault): Fault {
  return { category, recovery }
}
