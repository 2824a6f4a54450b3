import { type Problem, ProblemError } from '@tributary/protocol'
import type { ErrorObject } from 'ajv'
import { describeFault } from './schema-fault.ts'
import { innermostErrors } from './union-fault.ts'

type Fault = NonNullable<Problem['errors']>[number]

/** What Fastify makes of the errors that `RequestValidator` found in one part of a request. */
export interface ValidationError extends Error {
  readonly validation: ErrorObject[]
  readonly validationContext: string
}

export function isValidationError(error: Error): error is ValidationError {
  return 'validation' in error && Array.isArray(error.validation) && 'validationContext' in error
}

/** How a problem names the parts of a request. */
const PARTS: Readonly<Record<string, string>> = {
  querystring: 'query',
  params: 'path',
  headers: 'headers',
  body: 'body',
}

/** The problem of a request that its schema refuses: where, and what to change. */
export function validationProblem(error: ValidationError): ProblemError {
  const part = PARTS[error.validationContext] ?? error.validationContext
  if (part === 'body' && isBodyMissing(error.validation)) {
    return new ProblemError(
      'invalid_request',
      'The request needs a body: send JSON, with Content-Type: application/json.',
      {
        errors: [{ path: 'body', message: 'is required' }],
      },
    )
  }
  const found = innermostErrors(error.validation).map((one) => toFault(part, one))
  // Several forms of a body may miss the same.
  const byText = new Map(found.map((fault) => [`${fault.path} ${fault.message}`, fault]))
  const faults = [...byText.values()]
  const detail = [...byText.keys()].join(', or ')
  return new ProblemError('invalid_request', `${detail}.`, { errors: faults })
}

/** Fastify hands `null` on for a body that did not come, which a `null` that did come is not to be told from. */
function isBodyMissing(errors: readonly ErrorObject[]): boolean {
  return errors.some(({ instancePath, data }) => instancePath === '' && data === null)
}

function toFault(part: string, error: ErrorObject): Fault {
  const { key, message } = describeFault(error)
  const path = part + error.instancePath.replaceAll('~1', '/').replaceAll('~0', '~')
  return { path: key === undefined ? path : `${path}/${key}`, message }
}
