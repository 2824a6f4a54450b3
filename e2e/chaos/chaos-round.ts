import { setTimeout as delay } from 'node:timers/promises'
import { ADMIN_TOKEN, type ChaosWorld, HEARTBEAT_MS, type History, TOPICS } from './chaos-world.ts'
import { describeFault, type FaultKind, inflict, planFaults } from './fault.ts'
import { checkHub } from './hub-check.ts'
import type { HubReader } from './hub-reader.ts'
import { numberOf, type PublishRecord } from './ledger.ts'
import { Publisher } from './publisher.ts'
import { checkCalls, checkRun } from './run-check.ts'
import { RunClient } from './run-client.ts'
import { planRun } from './run-plan.ts'
import type { SeededRandom } from './seeded-random.ts'

/** How long everything may take to come to rest after the load, in ms. */
const SETTLE_MS = 60_000
/** What comes so soon after something else did not have to be waited for. */
const NO_TIME_MS = 100
const PUBLISHERS = 6
/** The longest pause of each publisher; together they publish about a hundred times a second. */
const PUBLISH_PAUSE_MS = 100

export interface RoundOptions {
  readonly number: number
  readonly random: SeededRandom
  readonly faults: readonly [FaultKind, ...FaultKind[]]
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
}

/** One round: load and faults, then rest, then the comparison. */
export async function playRound(world: ChaosWorld, options: RoundOptions): Promise<RoundResult> {
  const beganAtMs = performance.now()
  const { random, number, history, since } = options
  await world.keepHistory(history)
  const loadMs = random.int(2_000, 4_000)
  const faults = planFaults(random.fork(1), options.faults, loadMs)
  const breakOff = options.signal ?? new AbortController().signal
  const stopping = new AbortController()
  const givingUp = new AbortController()
  const stop = AbortSignal.any([stopping.signal, breakOff])
  const giveUp = AbortSignal.any([givingUp.signal, breakOff])
  const runs = startRuns(world, random.fork(2), number, loadMs, giveUp)
  const publishing = startPublishers(world, random.fork(3), number, stop, giveUp)
  const inflicted = faults.map(async (fault) => {
    await delay(fault.atMs)
    await inflict(fault, world)
  })

  await delay(loadMs)
  stopping.abort()
  const limit = setTimeout(() => givingUp.abort(new Error('it took too long')), SETTLE_MS)
  const rest = new Rest()
  await rest.note('a fault', Promise.all(inflicted))
  await rest.note('a restart', Promise.all([world.gateway.settled(), world.worker.settled()]))
  const published = await rest.note('a publisher', publishing)
  await Promise.all(runs.map(({ client, done }) => rest.note(() => client.name, done)))
  await Promise.all(
    world.readers.map((reader) => rest.note(reader.name, caughtUp(reader, published, giveUp))),
  )
  const late = world.openLateReader(since ?? '0', random.fork(4))
  await rest.note(late.name, caughtUp(late, published, giveUp))
  clearTimeout(limit)
  await late[Symbol.asyncDispose]()

  const readers = [...world.readers, late].map((reader) => reader.takeRecord())
  const notes = readers.flatMap((reader) => reader.notes)
  const gaps = notes.filter(({ kind }) => kind === 'gap').length
  const records = runs.map(({ client }) => client.record)
  const calls = world.api.takeCalls()
  const violations = [
    ...world.takeFaults(),
    ...unacknowledged(published),
    ...runs.flatMap(({ client }) => client.faults),
    ...checkHub(published, readers, { gapsAllowed: history === 'short' }),
    ...records.flatMap(checkRun),
    ...checkCalls(calls, records),
  ]
  return {
    number,
    faults: faults.map(describeFault),
    published: published.length,
    runs: runs.length,
    calls: calls.length,
    read: notes.length - gaps,
    gaps,
    lastId: published.map(({ ids: [id = '0-0'] }) => id).reduce(later, since ?? '0-0'),
    ms: Math.round(performance.now() - beganAtMs),
    last: rest.last,
    violations,
  }
}

function later(one: string, other: string): string {
  return numberOf(other) > numberOf(one) ? other : one
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
  world: ChaosWorld,
  random: SeededRandom,
  round: number,
  loadMs: number,
  giveUp: AbortSignal,
) {
  return Array.from({ length: random.int(6, 12) }, (_, index) => {
    const own = random.fork(index)
    const client = new RunClient({
      plan: planRun(`round-${round}-run-${index + 1}`, own, world.api.url),
      gatewayUrl: world.readersProxy.url,
      startUrl: world.publishersProxy.url,
      workerUrl: world.workerUrl,
      token: ADMIN_TOKEN,
      heartbeatMs: HEARTBEAT_MS,
      random: own,
    })
    const atMs = own.int(0, loadMs)
    return { client, done: delay(atMs).then(() => client.run(giveUp)) }
  })
}

async function startPublishers(
  world: ChaosWorld,
  random: SeededRandom,
  round: number,
  stop: AbortSignal,
  giveUp: AbortSignal,
): Promise<PublishRecord[]> {
  const published = await Promise.all(
    Array.from({ length: PUBLISHERS }, (_, index) =>
      new Publisher({
        name: `publisher-${index + 1}`,
        url: world.publishersProxy.url,
        token: ADMIN_TOKEN,
        topics: TOPICS,
        random: random.fork(index),
        pauseMs: PUBLISH_PAUSE_MS,
        onFault: world.addFault,
      }).publish(`round-${round}`, stop, giveUp),
    ),
  )
  return published.flat()
}

/** Resolves once the reader has come to the last event that is for it, or at the signal. */
async function caughtUp(
  reader: HubReader,
  published: readonly PublishRecord[],
  giveUp: AbortSignal,
): Promise<void> {
  const own = published.filter(({ topic }) => reader.topics.has(topic))
  const last = Math.max(0, ...own.map(({ ids }) => numberOf(ids[0] ?? '0-0')))
  while (!giveUp.aborted && reader.lastNumber < last) await delay(20)
}

function unacknowledged(published: readonly PublishRecord[]): string[] {
  return published
    .filter(({ ids }) => ids.length === 0)
    .map(({ key, topic }) => `publish ${key} for ${topic} was never acknowledged`)
}
