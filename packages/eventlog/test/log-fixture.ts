import { type Clock, parseCursor } from '@tributary/protocol'
import { FakeClock } from '@tributary/testkit'
import type { Append, EventLog, EventStore, LogEntry, OpenOptions, ReadOptions } from '../src/index.ts'

/** Opens the store of one place. What it needs beyond the clock is the adapter's own to make and to clear away. */
type OpenStore = (clock: Clock) => Promise<EventStore>

/** Makes an empty place. A durable store that is opened there again finds what the one before it has left. */
export type NewPlace = () => OpenStore

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
export const KEEP_ALL: OpenOptions = { retention: () => ({ maxEvents: 1_000_000, maxAgeMs: 365 * DAY_MS }) }

/** An event to append: `data` is its name, `to` the groups and users it is for. None: for all readers of a run. */
export function event(data: unknown, ...to: string[]): Append {
  const users = to.filter((topic) => topic.startsWith('user:')).map((topic) => topic.slice(5))
  const groups = to.filter((topic) => topic.startsWith('group:')).map((topic) => topic.slice(6))
  return {
    event: { type: 'said', data, source: 'test' },
    ...(to.length === 0 ? {} : { audience: { users, groups } }),
  }
}

export const dataOf = (entries: readonly LogEntry[]) => entries.map((entry) => entry.event.data)
export const numbersOf = (entries: readonly LogEntry[]) => entries.map(({ position }) => position.n)

/** All that a reader of these topics gets after `n`, page by page. */
export async function readAll(log: EventLog, n = 0, options: ReadOptions = {}): Promise<LogEntry[]> {
  const all: LogEntry[] = []
  for (;;) {
    const page = await log.read(all.at(-1)?.position.n ?? n, options)
    all.push(...page.entries)
    if (!page.hasMore) return all
  }
}

/** What a reader who comes with this cursor gets: where it goes on, what it is told, and the entries. */
export async function resume(log: EventLog, cursorText: string, topics?: readonly string[]) {
  const cursor = parseCursor(cursorText)
  if (cursor === undefined) throw new Error(`${cursorText} is no cursor`)
  const { after, gap } = await log.locate(cursor, topics)
  const entries = await readAll(log, after.n, topics === undefined ? {} : { topics })
  return { after, gap, data: dataOf(entries) }
}

/** The log, of which all is heard. */
async function followed(store: EventStore, options: OpenOptions): Promise<EventLog> {
  const log = await store.open('log', options)
  await log.follow().ready
  return log
}

/** A store of its own for one test, with one log open in it. */
export async function openedLog(newPlace: NewPlace, options: OpenOptions = KEEP_ALL) {
  const clock = new FakeClock()
  const openStore = newPlace()
  const store = await openStore(clock)
  const opened = {
    clock,
    store,
    log: await followed(store, options),
    /** Closes the store and opens what it has left, after a while. */
    async restart(downMs = 0) {
      await opened.store.close()
      clock.advance(downMs)
      opened.store = await openStore(clock)
      opened.log = await followed(opened.store, options)
    },
    [Symbol.asyncDispose]: () => opened.store.close(),
  }
  return opened
}
