import type { StreamServer } from '@tributary/sse'
import type { HubMeter } from './hub-meter.ts'

/** Measures how long events take from the call that publishes them to the sockets of their readers. */
export class DeliveryTimer {
  readonly #streams: Pick<StreamServer, 'afterFlush'>
  readonly #meter: HubMeter
  // When those began that are written in this turn.
  #beganMs: number[] = []

  constructor(streams: Pick<StreamServer, 'afterFlush'>, meter: HubMeter) {
    this.#streams = streams
    this.#meter = meter
  }

  /** What has just been given to its readers began then, by `performance.now()`. One call an event, not a reader. */
  given(beganMs: number): void {
    // Those of one turn share one call back.
    if (this.#beganMs.push(beganMs) === 1) this.#streams.afterFlush(this.#onFlushed)
  }

  readonly #onFlushed = (): void => {
    const began = this.#beganMs
    this.#beganMs = []
    const nowMs = performance.now()
    for (const beganMs of began) this.#meter.delivered(nowMs - beganMs)
  }
}
