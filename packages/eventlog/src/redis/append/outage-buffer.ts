import type { OnceKey } from '../../event-log.ts'
import { OnceConflictError } from '../../log-error.ts'
import type { Attempt } from './append-request.ts'
import { type SendInOrder, sendInOrder } from './ordered-batch.ts'

export interface OutageLimits {
  readonly maxEvents: number
  readonly maxBytes: number
}

/** Appends in one round to a Redis that is back. */
const FLUSH_AT_ONCE = 64

/** What was appended while Redis is away, in order: so much of it, then it is full. */
export class OutageBuffer {
  readonly #limits: OutageLimits
  readonly #items: Attempt[] = []
  #bytes = 0

  constructor(limits: OutageLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#items.length
  }

  hasRoomFor(item: Attempt): boolean {
    const { maxEvents, maxBytes } = this.#limits
    return this.#items.length < maxEvents && this.#bytes + bytesOf(item) <= maxBytes
  }

  add(item: Attempt): void {
    this.#items.push(item)
    this.#bytes += bytesOf(item)
  }

  /** The log was rewound: what is sent again may stand behind this number. */
  rewound(n: number): void {
    for (const item of this.#items) item.sinceN = Math.min(item.sinceN, n)
  }

  /** Those that were sent before, and may have been done, or that another node may have stored for their key. */
  get unanswered(): readonly Attempt[] {
    return this.#items.filter(({ again, request }) => again || request.once !== undefined)
  }

  /** Takes one out. Answers whether it was there. */
  take(k: number): boolean {
    const at = this.#items.findIndex((item) => item.k === k)
    for (const item of at === -1 ? [] : this.#items.splice(at, 1)) this.#bytes -= bytesOf(item)
    return at !== -1
  }

  /** What those that wait are known by. */
  get waiting(): ReadonlySet<number> {
    return new Set(this.#items.map(({ k }) => k))
  }

  /** Whether one with this key waits. @throws OnceConflictError where it is for something else. */
  hasKey({ key, fingerprint }: OnceKey, log: string): boolean {
    const known = this.#items.find(({ request }) => request.once?.key === key)
    if (known !== undefined && known.request.once?.fingerprint !== fingerprint)
      throw new OnceConflictError(log)
    return known !== undefined
  }

  /**
   * Sends all of it, in order. What is refused for good is given up.
   *
   * @param send resolves once it is stored; rejects with what `isAway` knows where it is to be tried again.
   */
  async flush(send: SendInOrder<Attempt>, isAway: (error: unknown) => boolean): Promise<void> {
    while (this.#items.length > 0) {
      const batch = this.#items.slice(0, FLUSH_AT_ONCE)
      const sent = await sendInOrder(batch, send)
      const failed = sent.findIndex((one) => one.status === 'rejected' && isAway(one.reason))
      const done = failed === -1 ? batch.length : failed
      for (const item of this.#items.splice(0, done)) this.#bytes -= bytesOf(item)
      if (failed === -1) continue
      // Those behind it may have been stored.
      for (const item of batch.slice(failed)) item.again = true
      const [failure] = sent.slice(failed)
      throw failure?.status === 'rejected' ? failure.reason : new Error('what failed has succeeded')
    }
  }
}

/** Characters of what an append says. */
export function bytesOf({ request: { drafts } }: Pick<Attempt, 'request'>): number {
  return drafts.reduce((sum, { head, json }) => sum + head.length + json.length, 0)
}
