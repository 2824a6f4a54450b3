import type { Cursor, Position, Topic } from '@tributary/protocol'
import type { LogEntry, StartingPoint } from '../../event-log.ts'

/** How long readers are told of it, in ms: those who come back later have mostly had a later place since. */
const TELL_MS = 600_000

/**
 * What other nodes have appended, was handed on here, and is not in the log any more, as after a failover. The node that
 * appended it stores it again; where that has died, too, nobody does, and readers who come with a place from before could
 * not know.
 */
export class LostEntries {
  // By origin.
  readonly #lost = new Map<string, LogEntry>()
  #beforeN = 0
  #upTo: Position = { ms: 0, n: 0 }
  #sinceMs = Number.NEGATIVE_INFINITY

  /** @param head of the log that has them no more. */
  add(entries: readonly LogEntry[], head: Position, nowMs: number): void {
    for (const entry of entries) {
      if (entry.origin === undefined) continue
      this.#lost.set(entry.origin, entry)
      if (entry.position.n > this.#upTo.n) this.#upTo = entry.position
    }
    if (this.#lost.size === 0) return
    this.#beforeN = head.n
    if (head.n > this.#upTo.n) this.#upTo = head
    this.#sinceMs = nowMs
  }

  /** These are in the log, by whoever has stored them. */
  found(entries: readonly LogEntry[]): void {
    if (this.#lost.size === 0) return
    for (const { origin = '', aliases = [] } of entries) {
      this.#lost.delete(origin)
      if (aliases.length === 0) continue
      for (const [lost, entry] of this.#lost)
        if (entry.aliases?.some((alias) => aliases.includes(alias))) this.#lost.delete(lost)
    }
  }

  /** Tells of a gap whoever comes from before, to topics of which something is lost. */
  judge(
    start: StartingPoint,
    { cursor, topics, nowMs }: { cursor: Cursor; topics: readonly Topic[] | undefined; nowMs: number },
  ): StartingPoint {
    if (this.#lost.size === 0 || start.gap !== undefined) return start
    if (nowMs - this.#sinceMs > TELL_MS) this.#lost.clear()
    if (cursor.kind === 'time' || cursor.n > this.#beforeN) return start
    const isLost = this.#lost
      .values()
      .some((entry) => topics === undefined || entry.topics.some((topic) => topics.includes(topic)))
    return isLost ? { after: start.after, gap: 'log_lost', lostUpTo: this.#upTo } : start
  }
}
