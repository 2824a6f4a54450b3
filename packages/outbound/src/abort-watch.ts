/** Hears of aborts through one listener a signal: thousands of requests may share one, each for a moment. */
export class AbortWatch {
  readonly #stopsOf = new WeakMap<AbortSignal, Set<(reason: unknown) => void>>()

  /** Calls `stop` when the signal is aborted, at once where it is already; the answer takes that back. */
  add(signal: AbortSignal, stop: (reason: unknown) => void): () => void {
    if (signal.aborted) {
      stop(signal.reason)
      return () => undefined
    }
    const stops = this.#stopsOf.get(signal) ?? this.#watch(signal)
    stops.add(stop)
    return () => void stops.delete(stop)
  }

  #watch(signal: AbortSignal): Set<(reason: unknown) => void> {
    const stops = new Set<(reason: unknown) => void>()
    this.#stopsOf.set(signal, stops)
    signal.addEventListener('abort', () => {
      for (const stop of stops) stop(signal.reason)
      stops.clear()
    })
    return stops
  }
}
