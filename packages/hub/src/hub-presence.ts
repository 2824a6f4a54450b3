import type { EventLog } from '@tributary/eventlog'
import type { Clock, PresenceChange } from '@tributary/protocol'
import type { ConnectionObserver } from './connection-observer.ts'
import type { Announcement, ConnectionRegistry } from './registry/connection-registry.ts'

/** Users about whom something is appended at a time. */
const CONCURRENCY = 16
/** What is due is not looked for more often than this, in ms. */
const MIN_SWEEP_MS = 50
/** When to look again where the registry or the log cannot be reached, in ms. */
const RETRY_MS = 1_000

export interface HubPresenceOptions {
  readonly registry: ConnectionRegistry
  readonly log: EventLog
  readonly clock: Pick<Clock, 'after' | 'elapsed'>
  readonly source: string
  /** How long a user may take to come back, in ms. */
  readonly graceMs: number
  /** How long it is remembered that something was told, in ms. */
  readonly onceWindowMs: number
  readonly observer: ConnectionObserver
}

/**
 * Tells of who came into a group and who left it: `presence_join` and `presence_leave`, each once for a stay, whichever
 * node tells of it.
 */
export class HubPresence {
  readonly #options: HubPresenceOptions
  readonly #queue: (readonly Announcement[])[] = []
  #telling = 0
  #timer: { readonly cancel: () => void; readonly atMs: number } | undefined
  #isClosed = false

  constructor(options: HubPresenceOptions) {
    this.#options = options
  }

  /** Tells what this node was handed, in the order within a place. */
  tell(announcements: readonly Announcement[]): void {
    if (announcements.length === 0) return
    for (const ofPlace of Map.groupBy(announcements, ({ place }) => place).values()) this.#queue.push(ofPlace)
    while (this.#telling < Math.min(CONCURRENCY, this.#queue.length)) {
      this.#telling += 1
      void this.#tellQueued()
    }
  }

  /** Some user may have left, when the time to come back is over. */
  leftSoon(): void {
    this.#sweepIn(this.#options.graceMs)
  }

  /** Tells what is due: also what a node that is gone has not told. */
  async sweep(): Promise<void> {
    if (this.#isClosed) return
    try {
      const { announcements, nextInMs } = await this.#options.registry.due()
      this.tell(announcements)
      if (nextInMs !== undefined) this.#sweepIn(nextInMs)
    } catch {
      this.#sweepIn(RETRY_MS)
    }
  }

  /** What is still to be told is left for another node, or the next start. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = undefined
    this.#queue.length = 0
  }

  async #tellQueued(): Promise<void> {
    for (let ofPlace = this.#queue.shift(); ofPlace !== undefined; ofPlace = this.#queue.shift()) {
      try {
        await this.#tellPlace(ofPlace)
      } catch {
        // It is handed out again, to this node or another.
        this.#sweepIn(RETRY_MS)
      }
    }
    // In the turn that found the queue empty: what is put there in a later one would wait for the next.
    this.#telling -= 1
  }

  async #tellPlace(ofPlace: readonly Announcement[]): Promise<void> {
    const { registry, observer } = this.#options
    for (let pending = ofPlace; pending.length > 0 && !this.#isClosed; ) {
      for (const one of pending) {
        await this.#append(one)
        await observer.announced(one)
      }
      pending = await registry.acknowledge(pending)
    }
    // He may have gone meanwhile, which waited for this to be told.
    this.leftSoon()
  }

  async #append(one: Announcement): Promise<void> {
    const { log, source, onceWindowMs: windowMs } = this.#options
    const { kind, group, stayId } = one
    const event = { type: `presence_${kind}`, data: presenceChange(one), source }
    // Who tells it a second time finds the key, so that every reader gets it once.
    const once = { key: `presence:${kind}:${stayId}:${group}`, fingerprint: stayId, windowMs }
    await log.appendOnce([{ event, audience: { presence: [group] } }], once)
  }

  #sweepIn(delayMs: number): void {
    if (this.#isClosed) return
    const { clock } = this.#options
    const waitMs = Math.max(MIN_SWEEP_MS, delayMs)
    const atMs = clock.elapsed() + waitMs
    if (this.#timer !== undefined && this.#timer.atMs <= atMs) return
    this.#timer?.cancel()
    const cancel = clock.after(waitMs, () => {
      this.#timer = undefined
      void this.sweep()
    })
    this.#timer = { cancel, atMs }
  }
}

function presenceChange({ group, userId, stayId, since, at, shown }: Announcement): PresenceChange {
  return { group, userId, stayId, since, at, ...(shown === undefined ? {} : { metadata: JSON.parse(shown) }) }
}
