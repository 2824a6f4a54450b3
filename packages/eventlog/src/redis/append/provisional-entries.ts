import { isBehind, type Position, parseOrigin } from '@tributary/protocol'
import type { LogEntry } from '../../event-log.ts'

/** What was handed on here without a place, and not with one yet. */
export class ProvisionalEntries {
  readonly #node: string
  #entries: LogEntry[] = []
  readonly #counts = new Set<number>()

  constructor(node: string) {
    this.#node = node
  }

  get all(): readonly LogEntry[] {
    return this.#entries
  }

  /** What they are known by among those of this node. */
  get counts(): ReadonlySet<number> {
    return this.#counts
  }

  add(entry: LogEntry): void {
    this.#entries.push(entry)
    this.#counts.add(countOf(entry.origin))
  }

  /** Puts these before all others. */
  addFirst(entries: readonly LogEntry[]): void {
    this.#set([...entries, ...this.#entries])
  }

  /** The log was rewound to here: that these have no place before that is all that is known. */
  rewound(head: Position): void {
    this.#set(
      this.#entries.map((entry) => (isBehind(head, entry.position) ? { ...entry, position: head } : entry)),
    )
  }

  /** What waits no more has been handed on with its place, or is lost with the log that it was in. */
  forgetStored(waiting: () => ReadonlySet<number>): void {
    if (this.#entries.length === 0) return
    const still = waiting()
    this.#set(this.#entries.filter(({ origin }) => still.has(countOf(origin))))
  }

  /** These have their places now, and so has all that this node appended before them. */
  forgetHandedOn(entries: readonly LogEntry[]): void {
    if (this.#entries.length === 0) return
    const own = entries
      .map(({ origin }) => parseOrigin(origin))
      .filter((origin) => origin?.node === this.#node)
    const last = own.at(-1)?.count ?? 0
    const aliases = new Set(entries.flatMap((entry) => entry.aliases ?? []))
    // Or another node has stored it.
    this.#set(this.#entries.filter(({ origin = '' }) => countOf(origin) > last && !aliases.has(origin)))
  }

  #set(entries: LogEntry[]): void {
    this.#entries = entries
    this.#counts.clear()
    for (const { origin } of entries) this.#counts.add(countOf(origin))
  }
}

function countOf(origin: string | undefined): number {
  return parseOrigin(origin)?.count ?? 0
}
