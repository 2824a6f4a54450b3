import type { OnceKey } from '../../event-log.ts'
import { OnceConflictError } from '../../log-error.ts'
import type { AppendRequest } from './append-request.ts'

/** An append that was handed on here and is to be stored. */
export interface Buffered {
  readonly request: AppendRequest
  /** What it is known by among those of this node. */
  readonly k: number
  /** Whether it was sent before, and may have been done. */
  again: boolean
}

export interface OutageLimits {
  readonly maxEvents: number
  readonly maxBytes: number
}

/** Appends in one round to a Redis that is back. */
const FLUSH_AT_ONCE = 64

/** What was appended while Redis is away, in order: so much of it, then it is full. */
export class OutageBuffer {
  readonly #limits: OutageLimits
  readonly #items: Buffered[] = []
  #bytes = 0

  constructor(limits: OutageLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#items.length
  }

  /** Answers whether there was room. */
  add(item: Buffered): boolean {
    const bytes = this.#bytes + bytesOf(item)
    if (this.#items.length >= this.#limits.maxEvents || bytes > this.#limits.maxBytes) return false
    this.#items.push(item)
    this.#bytes = bytes
    return true
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
  async flush(
    send: (item: Buffered) => Promise<unknown>,
    isAway: (error: unknown) => boolean,
  ): Promise<void> {
    while (this.#items.length > 0) {
      const batch = this.#items.slice(0, FLUSH_AT_ONCE)
      const sent = await Promise.allSettled(batch.map(send))
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

function bytesOf({ request: { drafts } }: Buffered): number {
  return drafts.reduce((sum, { head, json }) => sum + head.length + json.length, 0)
}
