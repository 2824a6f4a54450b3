import { type Clock, systemClock } from '@tributary/protocol'

/** The longest delay that a timer takes; beyond it, it fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * The machine's clock, whose timers keep a Node process alive: one that waits to go on with its stream is not
 * finished.
 */
export const waitingClock: Clock = {
  ...systemClock,
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

/** Resolves after `ms`. @throws the signal's reason where it is aborted, before or meanwhile. */
export function wait(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      cancel()
      reject(signal.reason)
    }
    const cancel = clock.after(Math.min(ms, MAX_TIMER_MS), () => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}
