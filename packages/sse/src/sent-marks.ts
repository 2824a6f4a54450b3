import type { LogEntry } from '@tributary/eventlog'
import { type Cursor, formatOrigin, type Origin, parseOrigin } from '@tributary/protocol'

/** Nodes whose marks a cursor carries at most; of one more the oldest is given up. */
const MAX_NODES = 4
/** Keys whose marks it carries at most, with the same end. */
const MAX_KEYS = 32

/** From which to which of its own. */
interface Sent {
  readonly from: number
  readonly to: number
}

/**
 * What a reader was sent before it had a place in the log: of each node, from which to which of its own; and the latest by
 * their keys, as another node may store them. It is passed over when the log tells it, and its cursor says so until then:
 * `~<node>.<from>~<node>.<to>`, a node alone for all up to there, and `~<key>.0`.
 */
export class SentMarks {
  // Most readers never have any.
  #sent: Map<string, Sent> | undefined

  constructor(cursor?: Cursor) {
    const sent = cursor?.kind === 'event' ? (cursor.sent ?? []) : []
    const seen = new Set<string>()
    for (const text of sent) {
      const origin = parseOrigin(text)
      if (origin === undefined) continue
      const { node, count } = origin
      const from = seen.has(node) ? this.#sent?.get(node)?.to : undefined
      seen.add(node)
      this.#set(node, { from: from ?? 0, to: Math.max(from ?? 0, count) })
    }
  }

  get isEmpty(): boolean {
    return this.#sent === undefined
  }

  /** What stands behind the reader's place in its cursor. */
  get suffix(): string {
    if (this.#sent === undefined) return ''
    // Keys come last.
    const sorted = [...this.#sent].toSorted(([, a], [, b]) => Number(a.to === 0) - Number(b.to === 0))
    return sorted
      .flatMap(([node, { from, to }]) => (from === 0 ? [to] : [from, to]).map((count) => ({ node, count })))
      .map((origin) => `~${formatOrigin(origin)}`)
      .join('')
  }

  /** Whether the reader was sent this entry. */
  has({ origin, aliases = [] }: LogEntry): boolean {
    if (this.#sent === undefined) return false
    return this.#covers(origin) || aliases.some((alias) => this.#covers(alias))
  }

  /** Notes that it was sent. */
  add({ origin, aliases = [] }: LogEntry): void {
    for (const text of [origin, ...aliases]) this.#note(parseOrigin(text))
  }

  /** Notes that the reader has passed an entry in the log: behind the last that it was sent, nothing is to be said. */
  pass({ origin: text, aliases = [] }: LogEntry): void {
    const all = this.#sent
    const origin = all === undefined ? undefined : parseOrigin(text)
    if (all === undefined || origin === undefined) return
    if (origin.count >= (all.get(origin.node)?.to ?? Number.POSITIVE_INFINITY)) all.delete(origin.node)
    for (const alias of aliases) {
      const key = parseOrigin(alias)
      // That another stored what a node handed on says nothing of what it handed on before.
      if (key?.count === 0) all.delete(key.node)
    }
    if (all.size === 0) this.#sent = undefined
  }

  #covers(text: string | undefined): boolean {
    const origin = parseOrigin(text)
    const sent = origin === undefined ? undefined : this.#sent?.get(origin.node)
    return origin !== undefined && sent !== undefined && origin.count >= sent.from && origin.count <= sent.to
  }

  #note(origin: Origin | undefined): void {
    if (origin === undefined) return
    const { node, count } = origin
    const { from, to } = this.#sent?.get(node) ?? { from: count, to: count }
    this.#set(node, { from: Math.min(from, count), to: Math.max(to, count) })
  }

  #set(node: string, sent: Sent): void {
    this.#sent ??= new Map()
    this.#sent.delete(node)
    this.#sent.set(node, sent)
    const isOfKeys = sent.to === 0
    const alike = [...this.#sent].filter(([, { to }]) => (to === 0) === isOfKeys)
    const [oldest] = alike
    // Of those of a kind of which there are too many.
    if (alike.length > (isOfKeys ? MAX_KEYS : MAX_NODES) && oldest !== undefined) this.#sent.delete(oldest[0])
  }
}
