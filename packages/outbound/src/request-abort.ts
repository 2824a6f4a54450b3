import type { Clock } from '@tributary/protocol'
import { OutboundError } from './outbound-error.ts'

/**
 * What ends one request early: the caller's signal, or its time limit.
 *
 * One controller and one timer, in place of `AbortSignal.any` and `AbortSignal.timeout`, which cost more than
 * the rest of a pooled request's own work.
 */
export class RequestAbort {
  readonly #controller = new AbortController()
  readonly #caller: AbortSignal | undefined
  readonly #cancelTimer: (() => void) | undefined
  /** Hears of the abort at once, where undici would wait until the request's turn has come. */
  onAbort: ((reason: Error) => void) | undefined

  constructor(caller: AbortSignal | undefined, timeoutMs: number | undefined, clock: Clock) {
    this.#caller = caller
    if (caller?.aborted === true) return this.#abort(caller.reason)
    caller?.addEventListener('abort', this.#onCallerAbort)
    if (timeoutMs === undefined) return
    this.#cancelTimer = clock.after(timeoutMs, () => this.#abort(new OutboundError('task_timeout', 'Task timeout')))
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Lets go of the signal and the timer. Nothing is aborted after it. */
  end = (): void => {
    this.onAbort = undefined
    this.#cancelTimer?.()
    this.#caller?.removeEventListener('abort', this.#onCallerAbort)
  }

  readonly #onCallerAbort = (): void => this.#abort(this.#caller?.reason)

  #abort(cause: unknown): void {
    // Streams are destroyed with it, and they take errors only.
    const reason = cause instanceof Error ? cause : new OutboundError('cancelled', 'Cancelled', { cause })
    const { onAbort } = this
    this.end()
    this.#controller.abort(reason)
    onAbort?.(reason)
  }
}
