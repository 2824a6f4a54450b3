/**
 * Measures the SQLite store, and writes the figures as one line of JSON: appends beside a bare loop that writes the
 * same rows in the same transactions; finding a reader's place in a long log and a short one; and how long the event
 * loop is held. A process of its own, so that nothing else is measured with it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import type { Append, EventLog } from '../src/index.ts'
import { SqliteEventStore } from '../src/sqlite/index.ts'

const BATCHES = [1, 10, 100]
const EVENTS_A_ROUND = 20_000
const WARM_UP_ROUNDS = 2

const SMALL_LOG = 1_000
const LARGE_LOG = 1_000_000
const FINDS = 2_000
const PAGE = 100

const HOLD_MS = 20_000
const HOLD_KEPT = 20_000
const HOLD_BATCH = 20

const TOPIC = 'group:bench'
const KEEP_ALL = { retention: () => ({ maxEvents: 10_000_000, maxAgeMs: 86_400_000 }) }
const DATA = JSON.stringify({ text: 'x'.repeat(110), at: 1_750_000_000_000 })
const AUDIENCE = { groups: ['bench'] }
const APPEND: Append = { event: { type: 'message', json: DATA, source: 'bench' }, audience: AUDIENCE }

/** The same rows, tables, indexes and transactions, by nothing but statements. */
class BareLoop implements Disposable {
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

  [Symbol.dispose](): void {
    this.#db.close()
  }
}

const rounds = Number(process.argv[2])
const folder = await mkdtemp(join(tmpdir(), 'tributary-bench-'))
try {
  const appends = await appendRates()
  const finds = await findTimes()
  const hold = await holdTimes()
  process.stdout.write(`${JSON.stringify({ eventsARound: EVENTS_A_ROUND, appends, finds, hold })}\n`)
} finally {
  await rm(folder, { recursive: true })
}

/** Events a second of each, round by round in turn. */
async function appendRates() {
  await using store = await SqliteEventStore.open({ path: join(folder, 'append.db') })
  const log = await store.open('hub', KEEP_ALL)
  using bare = await BareLoop.open(join(folder, 'bare.db'))
  const rates: { batch: number; bare: number[]; store: number[] }[] = []
  for (const batch of BATCHES) {
    const rate = { batch, bare: [] as number[], store: [] as number[] }
    for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
      const bareMs = timed(() => bare.append(EVENTS_A_ROUND, batch))
      const storeMs = await timedAsync(() => appendAll(log, EVENTS_A_ROUND, batch))
      if (round < 0) continue
      rate.bare.push((EVENTS_A_ROUND / bareMs) * 1_000)
      rate.store.push((EVENTS_A_ROUND / storeMs) * 1_000)
    }
    rates.push(rate)
  }
  return rates
}

/** As many calls as a turn has, each of one event, answered before the next turn begins. */
async function appendAll(log: EventLog, count: number, batch: number): Promise<void> {
  for (let done = 0; done < count; done += batch) {
    const appended: Promise<unknown>[] = []
    for (let i = 0; i < batch; i++) appended.push(log.append([APPEND]))
    await Promise.all(appended)
  }
}

/** In µs, what it takes to find a cursor and to read a page from there; of a log's old part and its newest. */
async function findTimes() {
  // Little of it in memory, so that even the short one has an old part.
  await using small = await SqliteEventStore.open({ path: join(folder, 'small.db'), tailMaxEvents: 200 })
  await using large = await SqliteEventStore.open({ path: join(folder, 'large.db'), tailMaxEvents: 200 })
  const logs = { small: await filledLog(small, SMALL_LOG), large: await filledLog(large, LARGE_LOG) }
  const times: { cursor: string; small: number[]; large: number[] }[] = []
  for (const cursor of ['old', 'recent'] as const) {
    const time = { cursor, small: [] as number[], large: [] as number[] }
    for (let round = -1; round < rounds; round++) {
      for (const which of ['small', 'large'] as const) {
        const ms = await timedAsync(() => findAll(logs[which], cursor))
        if (round >= 0) time[which].push((ms / FINDS) * 1_000)
      }
    }
    times.push(time)
  }
  return times
}

async function filledLog(store: SqliteEventStore, count: number): Promise<EventLog> {
  const log = await store.open('hub', KEEP_ALL)
  const batch = Array.from({ length: 100 }, () => APPEND)
  for (let done = 0; done < count; done += batch.length) await log.append(batch)
  return log
}

async function findAll(log: EventLog, cursor: 'old' | 'recent'): Promise<void> {
  // As many topics as a reader has; there are events of one.
  const topics = ['all', 'connection:c', 'user:u', TOPIC, 'role:r']
  const { ms } = log.head
  for (let i = 0; i < FINDS; i++) {
    const n = cursor === 'recent' ? log.head.n - PAGE : Math.floor((log.head.n - 500) * Math.random())
    const [entry] = (await log.read(Math.max(0, n - 1), { topics, limit: 1 })).entries
    if (entry === undefined || ms < entry.position.ms) throw new Error('an event is missing')
    const { after, gap } = await log.locate({ kind: 'event', ...entry.position }, topics)
    const page = await log.read(after.n, { topics, limit: PAGE })
    if (gap !== undefined || page.entries.length === 0) throw new Error('events are missing')
  }
}

/** Appends at a steady rate into a topic that is full, and looks how late the event loop is. */
async function holdTimes() {
  await using store = await SqliteEventStore.open({ path: join(folder, 'hold.db'), trimIntervalMs: 1_000 })
  const retention = { maxEvents: HOLD_KEPT, maxAgeMs: 5_000 }
  const log = await store.open('hub', { retention: () => retention })
  const delay = monitorEventLoopDelay({ resolution: 1 })
  let appended = 0
  let longestAppendMs = 0
  const append = async () => {
    const startedAt = performance.now()
    await log.append([APPEND])
    appended += 1
    longestAppendMs = Math.max(longestAppendMs, performance.now() - startedAt)
  }
  const startedAt = performance.now()
  delay.enable()
  while (performance.now() - startedAt < HOLD_MS) {
    const all = Promise.all(Array.from({ length: HOLD_BATCH }, append))
    await wait(1)
    await all
  }
  delay.disable()
  const inMs = (nanoseconds: number) => nanoseconds / 1_000_000
  return {
    eventsASecond: (appended / HOLD_MS) * 1_000,
    p50Ms: inMs(delay.percentile(50)),
    p999Ms: inMs(delay.percentile(99.9)),
    longestMs: inMs(delay.max),
    longestAppendMs,
  }
}

function timed(work: () => void): number {
  const startedAt = performance.now()
  work()
  return performance.now() - startedAt
}

async function timedAsync(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}
