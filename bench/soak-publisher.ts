import { setTimeout as delay } from 'node:timers/promises'
import { Pool } from 'undici'
import type { PublishedEntry } from './soak-message.ts'

const CONNECTIONS = 16
/** Publishes that are under way or wait for one of their group, at most. At more it waits, and falls behind. */
const MAX_PENDING = 1_000
/** What an event carries beside its numbers, so that it is of an ordinary size. */
const TEXT = 'x'.repeat(60)

export interface SoakPublisherOptions {
  readonly url: string
  readonly groups: number
  readonly ratePerS: number
  readonly onPublished: (entry: PublishedEntry) => void
}

/** Publishes at an even rate to one group after the other; each group's events are numbered and come one by one. */
export class SoakPublisher implements AsyncDisposable {
  readonly #options: SoakPublisherOptions
  readonly #pool: Pool
  readonly #numbers: number[]
  /** For each group, when the last of its events is through. */
  readonly #tails: Promise<void>[]
  #pending = 0
  #sent = 0
  #longestBehindMs = 0
  #failure: unknown

  constructor(options: SoakPublisherOptions) {
    this.#options = options
    this.#pool = new Pool(options.url, { connections: CONNECTIONS })
    this.#numbers = Array.from({ length: options.groups }, () => 0)
    this.#tails = Array.from({ length: options.groups }, () => Promise.resolve())
  }

  get sent(): number {
    return this.#sent
  }

  /** The latest that an event was sent after its time, in ms. */
  get longestBehindMs(): number {
    return this.#longestBehindMs
  }

  /** Publishes until it is told to stop, then waits for what is under way. @throws where a publish failed. */
  async run(stop: AbortSignal): Promise<void> {
    const { groups, ratePerS } = this.#options
    const beganAt = performance.now()
    for (; !stop.aborted && this.#failure === undefined; this.#sent++) {
      const dueAt = beganAt + (this.#sent * 1_000) / ratePerS
      const waitMs = dueAt - performance.now()
      if (waitMs > 0 && !(await isPast(waitMs, stop))) break
      while (this.#pending >= MAX_PENDING) await Promise.race(this.#tails)
      this.#longestBehindMs = Math.max(this.#longestBehindMs, performance.now() - dueAt)
      this.#publish(this.#sent % groups)
    }
    await Promise.all(this.#tails)
    if (this.#failure !== undefined) throw this.#failure
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy()
  }

  #publish(group: number): void {
    const number = (this.#numbers[group] ?? 0) + 1
    this.#numbers[group] = number
    this.#pending += 1
    this.#tails[group] = Promise.resolve(this.#tails[group])
      .then(() => this.#send(group, number))
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .finally(() => {
        this.#pending -= 1
      })
  }

  async #send(group: number, number: number): Promise<void> {
    if (this.#failure !== undefined) return
    const { statusCode, body } = await this.#pool.request({
      method: 'POST',
      path: `/api/sse/managed/broadcast/group/soak-${group}`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ event: 'tick', data: { group, number, text: TEXT } }),
    })
    const text = await body.text()
    const { id }: { id?: unknown } = JSON.parse(text)
    if (statusCode !== 200 || typeof id !== 'string') {
      throw new Error(`event ${number} of group ${group} was not published: ${statusCode} ${text}`)
    }
    this.#options.onPublished([group, number, id])
  }
}

/** Answers false where it was told to stop before. */
async function isPast(ms: number, stop: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, undefined, { signal: stop })
    return true
  } catch {
    return false
  }
}
