import type { Clock } from '@tributary/protocol'

/** Ended in a second at least: clients that come back at this rate are no burden to whoever takes them. */
const MIN_PER_S = 300
const TICK_MS = 50

export interface SpreadOptions {
  readonly clock: Pick<Clock, 'every'>
  /** The longest it may take, in ms. */
  readonly overMs: number
  /** Aborted when there is no more time: what is left is done at once. */
  readonly limit?: AbortSignal | undefined
}

/**
 * Makes calls one after another, evenly over a time, so that ten thousand clients do not come back at once; few are
 * made right away. Resolves when all are made.
 */
export function spread(
  calls: readonly (() => void)[],
  { clock, overMs, limit }: SpreadOptions,
): Promise<void> {
  const ticks = Math.max(1, Math.floor(overMs / TICK_MS))
  const perTick = Math.max((MIN_PER_S * TICK_MS) / 1_000, Math.ceil(calls.length / ticks))
  const { promise, resolve } = Promise.withResolvers<void>()
  let made = 0
  const make = (upTo: number) => {
    for (; made < Math.min(upTo, calls.length); made++) calls[made]?.()
    if (made < calls.length) return
    stop()
    limit?.removeEventListener('abort', makeAll)
    resolve()
  }
  const makeAll = () => make(calls.length)
  const stop = clock.every(TICK_MS, () => make(made + perTick))
  limit?.addEventListener('abort', makeAll, { once: true })
  make(limit?.aborted === true ? calls.length : perTick)
  return promise
}
