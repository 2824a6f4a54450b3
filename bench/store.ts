/**
 * What the SQLite store costs: appends beside a bare loop that writes the same rows in the same transactions; finding
 * a reader's place in a log of a million events beside one of a thousand; and how long it holds the event loop.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as turn } from 'node:timers/promises'
import type { Append, EventLog } from '../packages/eventlog/src/index.ts'
import { SqliteEventStore } from '../packages/eventlog/src/sqlite/index.ts'
import { median, quantile, report } from './figures.ts'

const BATCHES = [1, 10, 100]
const EVENTS_A_ROUND = 20_000
const DEFAULT_ROUNDS = 7
const APPEND_TARGET = 0.6

const SMALL_LOG = 1_000
const LARGE_LOG = 1_000_000
const FINDS = 2_000
const PAGE = 100
const FIND_TARGET = 1.3

const HOLD_MS = 20_000
const HOLD_KEPT = 20_000
const HOLD_BATCH = 20
const HOLD_WAITING = 1_000
const WARM_UP_TURNS = 1_000

const TOPIC = 'group:bench'
const KEEP_ALL = { retention: () => ({ maxEvents: 10_000_000, maxAgeMs: 86_400_000 }) }
const DATA = JSON.stringify({ text: 'x'.repeat(110), at: 1_750_000_000_000 })
const AUDIENCE = { groups: ['bench'] }
const APPEND: Append = { event: { type: 'message', json: DATA, source: 'bench' }, audience: AUDIENCE }

export async function benchStore(rounds = DEFAULT_ROUNDS): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-bench-'))
  try {
    await benchAppends(folder, rounds)
    await benchFinding(folder, rounds)
    await benchHold(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function benchAppends(folder: string, rounds: number): Promise<void> {
  await using store = await SqliteEventStore.open({ path: join(folder, 'append.db') })
  const log = await store.open('hub', KEEP_ALL)
  await using bare = await BareLoop.open(join(folder, 'bare.db'))
  const rows: Record<string, string | number>[] = []
  const figures: object[] = []
  for (const batch of BATCHES) {
    const ours: number[] = []
    const theirs: number[] = []
    for (let round = -2; round < rounds; round++) {
      const bareRate = perSecond(timedSync(() => bare.append(EVENTS_A_ROUND, batch)))
      const oursRate = perSecond(await timed(() => appendAll(log, EVENTS_A_ROUND, batch)))
      if (round < 0) continue
      theirs.push(bareRate)
      ours.push(oursRate)
    }
    const ratio = median(ours.map((rate, i) => rate / (theirs[i] ?? Number.NaN)))
    rows.push({
      'events a turn': batch,
      'bare loop, events/s': Math.round(median(theirs)),
      'store, events/s': Math.round(median(ours)),
      ratio: ratio.toFixed(2),
    })
    figures.push({ batch, ratio, bare: theirs, store: ours })
  }
  report(`store: appends, ${rounds} rounds of ${EVENTS_A_ROUND} events in turn`, rows, {
    bench: 'store-append',
    rounds,
    target: APPEND_TARGET,
    figures,
  })
}

function perSecond(ms: number): number {
  return (EVENTS_A_ROUND / ms) * 1_000
}

/** As many calls as a turn has, each of one event, answered before the next turn begins. */
async function appendAll(log: EventLog, count: number, batch: number): Promise<void> {
  for (let done = 0; done < count; done += batch) {
    const appended: Promise<unknown>[] = []
    for (let i = 0; i < batch; i++) appended.push(log.append([APPEND]))
    await Promise.all(appended)
  }
}

/** The same rows, tables, indexes and transactions, by nothing but statements. */
class BareLoop implements AsyncDisposable {
  readonly #db: DatabaseSync
  #n = 0

  private constructor(db: DatabaseSync) {
    this.#db = db
  }

  /** In a file that the store has made, so that its tables are the store's. */
  static async open(path: string): Promise<BareLoop> {
    const store = await SqliteEventStore.open({ path })
    const log = await store.open('hub', KEEP_ALL)
    await log.append([APPEND])
    await store.close()
    const db = new DatabaseSync(path)
    db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
    const loop = new BareLoop(db)
    loop.#n = 1
    return loop
  }

  append(count: number, batch: number): void {
    const begin = this.#db.prepare('BEGIN')
    const commit = this.#db.prepare('COMMIT')
    const insertEvent = this.#db.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
    const insertTopicEvent = this.#db.prepare('INSERT INTO topic_events VALUES (?, ?, ?, ?)')
    const audience = JSON.stringify(AUDIENCE)
    for (let done = 0; done < count; done += batch) {
      begin.run()
      for (let i = 0; i < batch; i++) {
        this.#n += 1
        const ms = Date.now()
        insertEvent.run(1, this.#n, ms, 1, 'message', 'bench', null, null, audience, DATA)
        insertTopicEvent.run(1, this.#n, ms, this.#n)
      }
      commit.run()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#db.close()
  }
}

async function benchFinding(folder: string, rounds: number): Promise<void> {
  await using small = await SqliteEventStore.open({ path: join(folder, 'small.db'), tailMaxEvents: 200 })
  await using large = await SqliteEventStore.open({ path: join(folder, 'large.db'), tailMaxEvents: 200 })
  const logs = {
    small: await filledLog(small, SMALL_LOG),
    large: await filledLog(large, LARGE_LOG),
  }
  const places = {
    old: (size: number) => Math.floor((size - 500) * Math.random()),
    recent: (size: number) => size - 100,
  }
  const rows: Record<string, string | number>[] = []
  const figures: object[] = []
  for (const [what, placeOf] of Object.entries(places)) {
    const us: { small: number[]; large: number[] } = { small: [], large: [] }
    for (let round = -1; round < rounds; round++) {
      for (const which of ['small', 'large'] as const) {
        const ms = await timed(() => findAll(logs[which], placeOf))
        if (round >= 0) us[which].push((ms / FINDS) * 1_000)
      }
    }
    const ratio = median(us.large) / median(us.small)
    rows.push({
      cursor: what,
      'of 1,000, µs': median(us.small).toFixed(1),
      'of 1,000,000, µs': median(us.large).toFixed(1),
      ratio: ratio.toFixed(2),
    })
    figures.push({ what, ratio, ...us })
  }
  report(`store: finding a cursor and reading ${PAGE} events, ${rounds} rounds of ${FINDS}`, rows, {
    bench: 'store-find',
    rounds,
    target: FIND_TARGET,
    figures,
  })
}

async function filledLog(store: SqliteEventStore, count: number): Promise<EventLog> {
  const log = await store.open('hub', KEEP_ALL)
  const batch = Array.from({ length: 100 }, () => APPEND)
  for (let done = 0; done < count; done += 100) await log.append(batch)
  return log
}

async function findAll(log: EventLog, placeOf: (size: number) => number): Promise<void> {
  // As many topics as a reader has; there are events of one.
  const topics = ['all', 'connection:c', 'user:u', TOPIC, 'role:r']
  for (let i = 0; i < FINDS; i++) {
    const n = placeOf(log.head.n)
    const [entry] = (await log.read(Math.max(0, n - 1), { topics, limit: 1 })).entries
    if (entry === undefined) throw new Error('an event is missing')
    const { after, gap } = await log.locate({ kind: 'event', ...entry.position }, topics)
    const page = await log.read(after.n, { topics, limit: PAGE })
    if (gap !== undefined || page.entries.length === 0) throw new Error('events are missing')
  }
}

/** Appends for a while at a steady rate into topics that are full, and looks at each turn of the event loop. */
async function benchHold(folder: string): Promise<void> {
  await using store = await SqliteEventStore.open({ path: join(folder, 'hold.db'), trimIntervalMs: 1_000 })
  const retention = { maxEvents: HOLD_KEPT, maxAgeMs: 5_000 }
  const log = await store.open('hub', { retention: () => retention })
  const holds: { readonly startedAt: number; readonly ms: number }[] = []
  const collections: PerformanceEntry[] = []
  const observer = new PerformanceObserver((list) => collections.push(...list.getEntries()))
  observer.observe({ entryTypes: ['gc'] })
  const startedAt = performance.now()
  let before = startedAt
  let appended = 0
  let waiting = 0
  const rejected = (error: unknown) => {
    throw error
  }
  while (before - startedAt < HOLD_MS) {
    for (let i = 0; i < HOLD_BATCH && waiting < HOLD_WAITING; i++) {
      waiting += 1
      log.append([APPEND]).then(() => {
        waiting -= 1
        appended += 1
      }, rejected)
    }
    await turn()
    const now = performance.now()
    holds.push({ startedAt: before, ms: now - before })
    before = now
  }
  await turn()
  observer.disconnect()
  // The first turns compile.
  const all = holds.slice(WARM_UP_TURNS)
  const own = all.filter(
    ({ startedAt: from, ms }) =>
      !collections.some((gc) => gc.startTime < from + ms && gc.startTime + gc.duration > from),
  )
  const quantileOf = (share: number) =>
    quantile(
      all.map(({ ms }) => ms),
      share,
    )
  const row = {
    'events/s': Math.round((appended / HOLD_MS) * 1_000),
    'median turn, ms': quantileOf(0.5).toFixed(2),
    '99.9 %, ms': quantileOf(0.999).toFixed(1),
    'longest, ms': quantileOf(1).toFixed(1),
    'longest without garbage collection, ms': quantile(
      own.map(({ ms }) => ms),
      1,
    ).toFixed(1),
  }
  report(
    `store: turns of the event loop while it appends, trims and checkpoints, ${HOLD_MS / 1_000} s`,
    [row],
    {
      bench: 'store-hold',
      ...row,
    },
  )
}

function timedSync(work: () => void): number {
  const startedAt = performance.now()
  work()
  return performance.now() - startedAt
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}
