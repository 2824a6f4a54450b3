import { hash } from 'node:crypto'
import { formatOrigin, type Position } from '@tributary/protocol'
import type { LogEntry, OnceKey } from '../../event-log.ts'

/** Keys that are known of each kind; about as many as somebody is likely to come back with. */
const MAX_KNOWN = 8_192
const MARK_CHARS = 12

/** What an entry is known by whichever node stores it, as a mark: of its key and of what is asked for. */
export function keyMark({ key, fingerprint }: OnceKey): string {
  const node = hash('sha256', `${key} ${fingerprint}`, 'base64url').slice(0, MARK_CHARS)
  return formatOrigin({ node, count: 0 })
}

/**
 * What is asked for at two nodes may be handed on by one before it has a place, and stored by the other: by its key
 * this node knows that it is the same.
 */
export class KeyedEntries {
  // Where what readers here have had stands; `undefined` where that is not known any more.
  readonly #had = new Map<string, Position | undefined>()
  readonly #bridged = new Map<string, string>()

  /** Notes what has been handed on at its place, or read there. */
  place({ aliases, position }: LogEntry): void {
    const [mark] = aliases ?? []
    if (mark !== undefined) remember(this.#had, mark, position)
  }

  /** Where it stands; `undefined` where that is not known here, or the key counts no more. */
  placeOf(once: OnceKey, nowMs: number): Position | undefined {
    const position = this.#had.get(keyMark(once))
    return position !== undefined && position.ms + once.windowMs > nowMs ? position : undefined
  }

  /** Whether readers here have had it at its place. */
  isPlaced(mark: string): boolean {
    return this.#had.get(mark) !== undefined
  }

  /** The same, also at a place that the log may have lost since. */
  wasHandedOn(mark: string): boolean {
    return this.#had.has(mark)
  }

  /** Notes what was handed on before it has a place, and as what. */
  bridge(mark: string, origin: string): void {
    remember(this.#bridged, mark, origin)
  }

  /** The entry, with what it was handed on as. */
  aliased(entry: LogEntry): LogEntry {
    const [mark] = entry.aliases ?? []
    const origin = mark === undefined ? undefined : this.#bridged.get(mark)
    if (mark === undefined || origin === undefined || origin === entry.origin) return entry
    return { ...entry, aliases: [mark, origin] }
  }

  /** The log has lost something, or is another: nothing is known of places. */
  forgetPlaces(): void {
    for (const mark of this.#had.keys()) this.#had.set(mark, undefined)
  }
}

function remember<Value>(known: Map<string, Value>, mark: string, value: Value): void {
  known.set(mark, value)
  const [oldest] = known.keys()
  if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest)
}
