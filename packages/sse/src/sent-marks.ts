import type { LogEntry } from '@tributary/eventlog'
import { type Cursor, formatOrigin, type Origin, parseOrigin } from '@tributary/protocol'

/** Nodes whose marks a cursor carries at most; of one more the oldest is given up. */
const MAX_NODES = 4
/** Keys whose marks it carries at most, with the same end. */
const MAX_KEYS = 16

/**
 * What a reader was sent before it had a place in the log: by each node, up to which of its own; and the latest by their
 * keys, as another node may store them. It is passed over when the log tells it, and its cursor says so until then.
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
    const origins = [...this.#counts].map(([node, count]) => ({ node, count }))
    // Keys come last.
    const sorted = origins.toSorted((a, b) => Number(a.count === 0) - Number(b.count === 0))
    return sorted.map((origin) => `~${formatOrigin(origin)}`).join('')
  }

  /** Whether the reader was sent this entry. */
  has({ origin, aliases = [] }: LogEntry): boolean {
    if (this.#counts === undefined) return false
    return this.#covers(origin) || aliases.some((alias) => this.#covers(alias))
  }

  /** Notes that it was sent. */
  add({ origin, aliases = [] }: LogEntry): void {
    for (const text of [origin, ...aliases]) this.#note(parseOrigin(text))
  }

  /** Notes that the reader has passed an entry in the log: behind the last that it was sent, nothing is to be said. */
  pass({ origin: text, aliases = [] }: LogEntry): void {
    const counts = this.#counts
    const origin = counts === undefined ? undefined : parseOrigin(text)
    if (counts === undefined || origin === undefined) return
    if (origin.count >= (counts.get(origin.node) ?? Number.POSITIVE_INFINITY)) counts.delete(origin.node)
    for (const alias of aliases) {
      const key = parseOrigin(alias)
      // That another stored what a node handed on says nothing of what it handed on before.
      if (key?.count === 0) counts.delete(key.node)
    }
    if (counts.size === 0) this.#counts = undefined
  }

  #covers(text: string | undefined): boolean {
    const origin = parseOrigin(text)
    return origin !== undefined && origin.count <= (this.#counts?.get(origin.node) ?? -1)
  }

  #note(origin: Origin | undefined): void {
    if (origin === undefined) return
    const { node, count } = origin
    this.#counts ??= new Map()
    const before = this.#counts.get(node) ?? 0
    this.#counts.delete(node)
    this.#counts.set(node, Math.max(before, count))
    this.#bound(count === 0)
  }

  /** Gives up the oldest of a kind of which there are too many. */
  #bound(isOfKeys: boolean): void {
    const nodes = [...(this.#counts ?? [])].filter(([, count]) => (count === 0) === isOfKeys)
    const [oldest] = nodes
    if (nodes.length > (isOfKeys ? MAX_KEYS : MAX_NODES) && oldest !== undefined)
      this.#counts?.delete(oldest[0])
  }
}
