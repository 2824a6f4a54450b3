import { EventEmitter } from 'node:events'
import type { Clock } from '@tributary/protocol'
import { OutboundError } from './outbound-error.ts'

/**
 * What ends one request early: the caller's signal, or its time limit.
 *
 * It is given to undici as the `signal`, for which an emitter of `abort` will do: an AbortController for each
 * request, let alone `AbortSignal.any` and `AbortSignal.timeout`, costs a fifth of a pooled request's time.
 */
export class RequestAbort extends EventEmitter {
  /** Why it was aborted; `undefined` until then. Undici reads it. */
  reason: Error | undefined
  /** Hears of the abort at once, where undici would wait until the request's turn has come. */
  onAbort: ((reason: Error) => void) | undefined
  readonly #caller: AbortSignal | undefined
  readonly #cancelTimer: (() => void) | undefined

  constructor(caller: AbortSignal | undefined, timeoutMs: number | undefined, clock: Clock) {
    super()
    this.#caller = caller
    if (caller?.aborted === true) {
      this.#abort(caller.reason)
      return
    }
    caller?.addEventListener('abort', this.#onCallerAbort)
    if (timeoutMs === undefined) return
    this.#cancelTimer = clock.after(timeoutMs, () =>
      this.#abort(new OutboundError('task_timeout', 'Task timeout')),
    )
  }

  /** Lets go of the signal and the timer. Nothing is aborted after it. */
  readonly end = (): void => {
    this.onAbort = undefined
    this.#cancelTimer?.()
    this.#caller?.removeEventListener('abort', this.#onCallerAbort)
  }

  readonly #onCallerAbort = (): void => this.#abort(this.#caller?.reason)

  #abort(cause: unknown): void {
    const { onAbort } = this
    // Streams are destroyed with it, and they take errors only.
    const reason = cause instanceof Error ? cause : new OutboundError('cancelled', 'Cancelled', { cause })
    this.end()
    this.reason = reason
    onAbort?.(reason)
    this.emit('abort')
  }
}
