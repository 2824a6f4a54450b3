import type { Clock } from '@tributary/protocol'

/** The time by Redis' clock, in ms, as far as it is known: from its last answer, and what has passed here since. */
export class RedisTime {
  readonly #clock: Pick<Clock, 'elapsed'>
  #known: { readonly at: number; readonly elapsed: number } | undefined

  constructor(clock: Pick<Clock, 'elapsed'>) {
    this.#clock = clock
  }

  learn(at: number): void {
    this.#known = { at, elapsed: this.#clock.elapsed() }
  }

  /** `undefined` before the first answer. */
  now(): number | undefined {
    return this.#known && this.#known.at + this.#clock.elapsed() - this.#known.elapsed
  }
}
