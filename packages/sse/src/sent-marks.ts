import type { LogEntry } from '@tributary/eventlog'
import { type Cursor, formatOrigin, type Origin, parseOrigin } from '@tributary/protocol'

/** Nodes whose marks a cursor carries at most; of one more the oldest is given up. */
const MAX_NODES = 4

/**
 * What a reader was sent before it had a place in the log: by each node, up to which of its own. It is passed over when
 * the log tells it, and its cursor says so until then.
 */
export class SentMarks {
  // Most readers never have any.
  #counts: Map<string, number> | undefined

  constructor(cursor?: Cursor) {
    const sent = cursor?.kind === 'event' ? (cursor.sent ?? []) : []
    for (const text of sent) this.#note(parseOrigin(text))
  }

  get isEmpty(): boolean {
    return this.#counts === undefined
  }

  /** What stands behind the reader's place in its cursor. */
  get suffix(): string {
    if (this.#counts === undefined) return ''
    return [...this.#counts].map(([node, count]) => `~${formatOrigin({ node, count })}`).join('')
  }

  /** Whether the reader was sent this entry. */
  has({ origin: text }: LogEntry): boolean {
    const origin = this.#counts === undefined ? undefined : parseOrigin(text)
    return origin !== undefined && origin.count <= (this.#counts?.get(origin.node) ?? 0)
  }

  /** Notes that it was sent. */
  add({ origin }: LogEntry): void {
    this.#note(parseOrigin(origin))
  }

  /** Notes that the reader has passed an entry in the log: behind the last that it was sent, nothing is to be said. */
  pass({ origin: text }: LogEntry): void {
    const counts = this.#counts
    const origin = counts === undefined ? undefined : parseOrigin(text)
    if (counts === undefined || origin === undefined) return
    if (origin.count >= (counts.get(origin.node) ?? Number.POSITIVE_INFINITY)) counts.delete(origin.node)
    if (counts.size === 0) this.#counts = undefined
  }

  #note(origin: Origin | undefined): void {
    if (origin === undefined) return
    const { node, count } = origin
    this.#counts ??= new Map()
    const before = this.#counts.get(node) ?? 0
    this.#counts.delete(node)
    this.#counts.set(node, Math.max(before, count))
    const [oldest] = this.#counts.keys()
    if (this.#counts.size > MAX_NODES && oldest !== undefined) this.#counts.delete(oldest)
  }
}
