/** What a client reads in a problem answer besides its code. */
export interface ErrorRule {
  /** The HTTP status. */
  readonly status: number
  /** One short sentence, the same each time. */
  readonly title: string
  /** Whether the same request may succeed later without being changed. */
  readonly retryable: boolean
}

const rule = (status: number, title: string, retryable = false): ErrorRule => ({ status, title, retryable })

/** Every error that either service answers with: its code, its HTTP status, and whether trying again helps. */
export const ERROR_CODES = {
  invalid_request: rule(400, 'The request is not valid.'),
  invalid_json: rule(400, 'The body is not JSON.'),
  invalid_cursor: rule(400, 'The cursor is not one of ours.'),
  unauthorized: rule(401, 'A valid token is needed.'),
  token_unknown: rule(401, 'The token is not known.'),
  token_invalid: rule(401, 'The token is not valid.'),
  token_expired: rule(401, "The token's time is over."),
  token_not_yet_valid: rule(401, "The token's time has not begun."),
  token_wrong_issuer: rule(401, 'The token is not of the accepted issuer.'),
  token_wrong_audience: rule(401, 'The token is for somebody else.'),
  forbidden: rule(403, 'This is not allowed.'),
  origin_refused: rule(403, 'The endpoint is not among the allowed origins.'),
  not_found: rule(404, 'There is nothing here.'),
  run_not_found: rule(404, 'There is no such run.'),
  connection_not_found: rule(404, 'There is no such connection.'),
  method_not_allowed: rule(405, 'The method is not allowed here.'),
  connection_exists: rule(409, 'A connection of this id is open.'),
  run_gone: rule(410, 'The run is no longer kept.'),
  payload_too_large: rule(413, 'The body is too large.'),
  event_too_large: rule(413, 'The event is too large.'),
  uri_too_long: rule(414, 'The address is too long.'),
  unsupported_media_type: rule(415, 'The body must be JSON.'),
  expectation_failed: rule(417, 'The expectation cannot be met.'),
  no_tasks: rule(422, 'There are no tasks.'),
  too_many_tasks: rule(422, 'There are too many tasks.'),
  duplicate_task_id: rule(422, 'Two tasks have the same id.'),
  invalid_task: rule(422, 'A task is not valid.'),
  unknown_handler: rule(422, 'No handler has this name.'),
  invalid_endpoint: rule(422, 'The endpoint is not valid.'),
  duplicate_source: rule(422, 'Two sources have the same name.'),
  address_refused: rule(422, 'The address may not be called.'),
  idempotency_conflict: rule(422, 'The idempotency key was used for another request.'),
  user_connection_limit: rule(429, 'The user has too many connections.', true),
  address_connection_limit: rule(429, 'The address has too many connections.', true),
  connect_rate_limited: rule(429, 'Too many connections are opened at once.', true),
  headers_too_large: rule(431, 'The headers are too large.'),
  request_timeout: rule(408, 'The request did not come in time.', true),
  internal_error: rule(500, 'The server made a mistake.', true),
  upstream_failed: rule(502, 'The upstream did not answer as it should.', true),
  upstream_unavailable: rule(503, 'No upstream is available.', true),
  store_unavailable: rule(503, 'Nothing can be stored now.', true),
  keys_unavailable: rule(503, 'Tokens cannot be verified now.', true),
  draining: rule(503, 'The server is about to stop.', true),
  not_ready: rule(503, 'The server cannot serve now.', true),
  too_many_connections: rule(503, 'The server has no room for another connection.', true),
  overloaded: rule(503, 'The server has no room for this.', true),
} as const satisfies Record<string, ErrorRule>

export type ErrorCode = keyof typeof ERROR_CODES

/** Why a task failed, and whether the worker tries it again where the task is idempotent. */
export const TASK_ERROR_CODES = {
  dns_failed: { retryable: true },
  connection_refused: { retryable: true },
  connection_reset: { retryable: true },
  tls_failed: { retryable: false },
  connect_timeout: { retryable: true },
  task_timeout: { retryable: true },
  deadline_exceeded: { retryable: false },
  http_4xx: { retryable: false },
  http_5xx: { retryable: true },
  body_too_large: { retryable: false },
  invalid_json: { retryable: false },
  address_refused: { retryable: false },
  cancelled: { retryable: false },
  worker_lost: { retryable: false },
  task_failed: { retryable: false },
} as const satisfies Record<string, { retryable: boolean }>

export type TaskErrorCode = keyof typeof TASK_ERROR_CODES

export function isTaskErrorCode(code: unknown): code is TaskErrorCode {
  return typeof code === 'string' && Object.hasOwn(TASK_ERROR_CODES, code)
}
