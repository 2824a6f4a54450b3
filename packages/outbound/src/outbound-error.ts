import { TASK_ERROR_CODES, type TaskErrorCode } from '@tributary/protocol'

/** What this package throws by itself. Its message may be shown to whoever asked for the call. */
export class OutboundError extends Error {
  override readonly name: string = 'OutboundError'
  readonly code: TaskErrorCode
  readonly retryable: boolean

  constructor(code: TaskErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.retryable = TASK_ERROR_CODES[code].retryable
  }
}

/** A call that the policy forbids. It never says what the name resolved to, or what answers there. */
export class AddressRefusedError extends OutboundError {
  override readonly name = 'AddressRefusedError'

  constructor(message = 'The address may not be called') {
    super('address_refused', message)
  }
}
