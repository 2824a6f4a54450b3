/** An error on its way between threads. A structured clone of it would lose all but the message. */
export interface ErrorData {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly retryable?: boolean
  readonly stack?: string
  readonly cause?: ErrorData
}

/** An error that was thrown in another thread. Its name, code and stack are those of the original. */
export class RemoteError extends Error {
  override readonly name: string
  readonly code: string | undefined
  readonly retryable: boolean | undefined

  constructor({ name, message, code, retryable, stack, cause }: ErrorData) {
    super(message, cause === undefined ? {} : { cause: new RemoteError(cause) })
    this.name = name
    this.code = code
    this.retryable = retryable
    if (stack !== undefined) this.stack = stack
  }
}

/** How many causes of a cause are kept. */
const MAX_CAUSES = 4

/** Of whatever was thrown, also what cannot be read. */
export function toErrorData(thrown: unknown, causes = MAX_CAUSES): ErrorData {
  try {
    return thrown instanceof Error ? readError(thrown, causes) : { name: 'Error', message: String(thrown) }
  } catch {
    return { name: 'Error', message: 'Something was thrown that is no error' }
  }
}

function readError(error: Error, causes: number): ErrorData {
  const { name, message, stack, cause } = error
  return {
    name,
    message,
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    ...('retryable' in error && typeof error.retryable === 'boolean' ? { retryable: error.retryable } : {}),
    ...(stack === undefined ? {} : { stack }),
    ...(cause === undefined || causes === 0 ? {} : { cause: toErrorData(cause, causes - 1) }),
  }
}
