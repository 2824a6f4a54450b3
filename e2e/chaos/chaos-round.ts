import { setTimeout as delay } from 'node:timers/promises'
import { ADMIN_TOKEN, HEARTBEAT_MS, type History, TOPICS } from './chaos-settings.ts'
import type { ExternalApi } from './external-api.ts'
import { checkHub } from './hub-check.ts'
import type { HubReader } from './hub-reader.ts'
import type { HubReaderRecord, PublishRecord } from './ledger.ts'
import { inflict, type PlannedFault } from './planned-fault.ts'
import { Publisher } from './publisher.ts'
import { checkCalls, checkRun } from './run-check.ts'
import { RunClient } from './run-client.ts'
import { planRun } from './run-plan.ts'
import type { SeededRandom } from './seeded-random.ts'

/** How long everything may take to come to rest after the load, in ms. */
const SETTLE_MS = 90_000
/** How long all readers may then take to come to the end of the log. */
const LAST_MS = 30_000
/** What comes so soon after something else did not have to be waited for. */
const NO_TIME_MS = 100
const PUBLISHERS = 6
/** The longest pause of each publisher; together they publish about a hundred times a second. */
const PUBLISH_PAUSE_MS = 100

/** What a round is played over. */
export interface RoundWorld {
  readonly readers: readonly HubReader[]
  readonly api: ExternalApi
  /** A gateway as readers reach it, and as publishers and those who start runs do. */
  readonly readersUrl: string
  readonly publishersUrl: string
  /** Whether runs have one owner that nobody replaces: it has ended its calls once a cancel is answered. */
  readonly cancelEndsCalls: boolean
  /** A worker, for a client that asks it directly. */
  workerUrl(random: SeededRandom): string
  /** Readers that begin at a cursor: they get what others got while it happened from what is stored. */
  openLateReaders(since: string, random: SeededRandom): readonly HubReader[]
  /** Has the hub keep another history from here on. */
  keepHistory(history: History): Promise<void>
  planFaults(random: SeededRandom, loadMs: number, history: History): readonly PlannedFault[]
  /** Whether the store may have lost what it acknowledged in this round. Asked once at its end. */
  mayLose(faults: readonly PlannedFault[]): Promise<boolean>
  /** Whether a node was away in this round that could have stored it again. */
  takesNodes(faults: readonly PlannedFault[]): boolean
  /** Resolves once everything is up again. */
  settled(): Promise<void>
  readonly addFault: (fault: string) => void
  /** The faults noted since the last time. */
  takeFaults(): string[]
}

export interface RoundOptions {
  readonly number: number
  readonly random: SeededRandom
  /** `short`: readers may be told gaps, and hardly anything else may be missing. */
  readonly history: History
  /** The last event of the rounds before. */
  readonly since: string | undefined
  /** Breaks it off. */
  readonly signal?: AbortSignal | undefined
}

export interface RoundResult {
  readonly number: number
  /** What was done to whom. */
  readonly faults: readonly string[]
  readonly published: number
  readonly runs: number
  /** Those of them of which the store said that it has lost them. */
  readonly gone: number
  readonly calls: number
  /** Events that the hub's readers got, and gaps that they were told. */
  readonly read: number
  readonly gaps: number
  /** The last event. */
  readonly lastId: string | undefined
  readonly ms: number
  /** What came to rest last, and how long after the load. */
  readonly last: { readonly what: string; readonly ms: number }
  readonly violations: readonly string[]
  /** What was sent to the hub, and what its readers noted of that. */
  readonly hub: { readonly published: readonly PublishRecord[]; readonly readers: readonly HubReaderRecord[] }
}

/** One round: load and faults, then rest, then the comparison. */
export async function playRound(world: RoundWorld, options: RoundOptions): Promise<RoundResult> {
  const beganAtMs = performance.now()
  const { random, number, history, since } = options
  await world.keepHistory(history)
  const loadMs = random.int(2_000, 4_000)
  const faults = world.planFaults(random.fork(1), loadMs, history)
  const breakOff = options.signal ?? new AbortController().signal
  const stopping = new AbortController()
  const givingUp = new AbortController()
  const stop = AbortSignal.any([stopping.signal, breakOff])
  const giveUp = AbortSignal.any([givingUp.signal, breakOff])
  const runs = startRuns(world, random.fork(2), number, loadMs, giveUp)
  const publishers = makePublishers(world, random.fork(3))
  const publishing = Promise.all(
    publishers.map((publisher) => publisher.publish(`round-${number}`, stop, giveUp)),
  )
  const inflicted = faults.map((fault) => inflict(fault, delay))

  await delay(loadMs)
  stopping.abort()
  const limit = setTimeout(() => givingUp.abort(new Error('it took too long')), SETTLE_MS)
  const rest = new Rest()
  const done = await rest.note('a fault', Promise.all(inflicted))
  await rest.note('a restart', world.settled())
  const published = (await rest.note('a publisher', publishing)).flat()
  await Promise.all(runs.map(({ client, done }) => rest.note(() => client.name, done)))
  clearTimeout(limit)
  // Behind everything else: whoever has it has come to the end of the log. What took too long keeps nobody from it.
  const end = AbortSignal.any([AbortSignal.timeout(LAST_MS), breakOff])
  const closing = publishers[0]?.publishLast(`round-${number}-last`, end)
  const last = await rest.note('the last event', Promise.resolve(closing))
  if (last === undefined) throw new Error('there are publishers')
  published.push(last)
  const lates = world.openLateReaders(since ?? '0', random.fork(4))
  const waiting = [...world.readers, ...lates]
  await Promise.all(waiting.map((reader) => rest.note(reader.name, caughtUp(reader, last.key, end))))
  await Promise.all(lates.map((late) => late[Symbol.asyncDispose]()))

  const lateRecords = lates.map((late) => ({ ...late.takeRecord(), isLate: true }))
  const isEarlier = (key: string) => Number(/^round-(\d+)-/.exec(key)?.[1]) < number
  const losing = (await world.mayLose(faults)) ? { kept: idsOf(lateRecords), isEarlier } : undefined
  const readers = [...world.readers.map((reader) => reader.takeRecord()), ...lateRecords]
  const notes = readers.flatMap((reader) => reader.notes)
  const gaps = notes.filter(({ kind }) => kind === 'gap').length
  // A store that lost a run says so of it, and that is all that can be known.
  const kept = runs.filter(({ client }) => losing === undefined || !client.isGone)
  const records = runs.map(({ client }) => client.record)
  const calls = world.api.takeCalls()
  const how = {
    losing: losing !== undefined,
    orphaning: losing !== undefined && world.takesNodes(faults),
    frozen: !world.cancelEndsCalls,
  }
  const violations = [
    ...world.takeFaults(),
    ...unacknowledged(published),
    ...kept.flatMap(({ client }) => client.faults),
    ...checkHub(published, readers, { gapsAllowed: history === 'short', ...(losing && { losing }) }),
    ...kept.flatMap(({ client }) => checkRun(client.record, how)),
    ...checkCalls(calls, records, how),
  ]
  return {
    number,
    faults: done,
    published: published.length,
    runs: runs.length,
    gone: runs.length - kept.length,
    calls: calls.length,
    read: notes.filter(({ kind }) => kind === 'event').length,
    gaps,
    lastId: last.ids.at(-1) ?? since,
    ms: Math.round(performance.now() - beganAtMs),
    last: rest.last,
    violations,
    hub: { published, readers },
  }
}

function idsOf(records: readonly HubReaderRecord[]): ReadonlySet<string> {
  return new Set(
    records.flatMap(({ notes }) => notes.flatMap((note) => (note.kind === 'event' ? [note.id] : []))),
  )
}

/** Notes what takes longest after the load. */
class Rest {
  readonly #beganAtMs = performance.now()
  last = { what: 'nothing', ms: 0 }

  async note<T>(what: string | (() => string), done: Promise<T>): Promise<T> {
    const result = await done
    const ms = Math.round(performance.now() - this.#beganAtMs)
    // What had to wait for something else took no time of its own.
    if (ms > this.last.ms + NO_TIME_MS) this.last = { what: typeof what === 'string' ? what : what(), ms }
    return result
  }
}

/** Clients that start runs at moments of the load. */
function startRuns(
  world: RoundWorld,
  random: SeededRandom,
  round: number,
  loadMs: number,
  giveUp: AbortSignal,
) {
  return Array.from({ length: random.int(6, 12) }, (_, index) => {
    const own = random.fork(index)
    const client = new RunClient({
      plan: planRun(`round-${round}-run-${index + 1}`, own, world.api.url),
      gatewayUrl: world.readersUrl,
      startUrl: world.publishersUrl,
      workerUrl: world.workerUrl(own),
      cancelEndsCalls: world.cancelEndsCalls,
      token: ADMIN_TOKEN,
      heartbeatMs: HEARTBEAT_MS,
      random: own,
    })
    const atMs = own.int(0, loadMs)
    return { client, done: delay(atMs).then(() => client.run(giveUp)) }
  })
}

function makePublishers(world: RoundWorld, random: SeededRandom): Publisher[] {
  return Array.from(
    { length: PUBLISHERS },
    (_, index) =>
      new Publisher({
        name: `publisher-${index + 1}`,
        url: world.publishersUrl,
        token: ADMIN_TOKEN,
        topics: TOPICS,
        random: random.fork(index),
        pauseMs: PUBLISH_PAUSE_MS,
        onFault: world.addFault,
      }),
  )
}

/** Resolves once the reader has come to this event, or at the signal. */
async function caughtUp(reader: HubReader, key: string, giveUp: AbortSignal): Promise<void> {
  while (!giveUp.aborted && !reader.has(key)) await delay(20)
}

function unacknowledged(published: readonly PublishRecord[]): string[] {
  return published
    .filter(({ ids }) => ids.length === 0)
    .map(({ key, topic }) => `publish ${key} for ${topic} was never acknowledged`)
}
