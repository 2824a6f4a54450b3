import Type, { type Static } from 'typebox'
import {
  ERROR_CATEGORIES,
  ERROR_CODES,
  type ErrorCategory,
  type ErrorCode,
  RECOVERIES,
  type Recovery,
} from './error-code.ts'

/** An error answer, `application/problem+json` (RFC 9457) with a stable `code`. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'A name for the kind of problem: `urn:tributary:problem:<code>`.' }),
    title: Type.String({ description: 'What kind of problem it is, the same each time.' }),
    status: Type.Integer(),
    detail: Type.String({ description: 'What is wrong here, and what to change.' }),
    code: Type.String({ description: 'Stable; programs decide by it.' }),
    category: Type.Enum(ERROR_CATEGORIES, { description: 'What kind of fault it is.' }),
    recovery: Type.Enum(RECOVERIES, {
      description:
        'What helps: the same later, another token, polling until there is room for a stream, another request; or nothing.',
    }),
    retryable: Type.Boolean({ description: 'Whether the same request may succeed later.' }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({ description: 'Where in the request: `body/tasks/0/url`.' }),
          message: Type.String(),
        }),
      ),
    ),
  },
  { title: 'Problem' },
)
export type Problem = Static<typeof Problem>

export const PROBLEM_CONTENT_TYPE = 'application/problem+json; charset=utf-8'

export interface ProblemOptions extends ErrorOptions {
  /** Where in the request the faults are. */
  readonly errors?: Problem['errors']
  /** Seconds a client should wait; sent as `Retry-After`. */
  readonly retryAfterS?: number
  /** Further response headers, as `Allow` on a 405. */
  readonly headers?: Readonly<Record<string, string>>
}

/** An error that is answered as a problem; status, title, kind and what helps come from `ERROR_CODES`. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly code: ErrorCode
  readonly category: ErrorCategory
  readonly recovery: Recovery
  readonly retryable: boolean
  readonly statusCode: number
  readonly errors: Problem['errors']
  readonly retryAfterS: number | undefined
  readonly headers: Readonly<Record<string, string>>

  constructor(code: ErrorCode, detail: string, options: ProblemOptions = {}) {
    super(detail, options)
    this.code = code
    const { status, category, recovery, retryable } = ERROR_CODES[code]
    this.category = category
    this.recovery = recovery
    this.retryable = retryable
    this.statusCode = status
    this.errors = options.errors
    this.retryAfterS = options.retryAfterS
    this.headers = options.headers ?? {}
  }

  toProblem(): Problem {
    const { status, title, category, recovery, retryable } = ERROR_CODES[this.code]
    return {
      type: `urn:tributary:problem:${this.code}`,
      title,
      status,
      detail: this.message,
      code: this.code,
      category,
      recovery,
      retryable,
      ...(this.errors === undefined ? {} : { errors: this.errors }),
    }
  }
}
