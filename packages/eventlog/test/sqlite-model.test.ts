import { join } from 'node:path'
import type { Position } from '@tributary/protocol'
import { FakeClock } from '@tributary/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventLog, EventStore, OpenOptions, Retention } from '../src/index.ts'
import { MemoryEventStore } from '../src/memory/index.ts'
import { SqliteEventStore } from '../src/sqlite/index.ts'
import { DAY_MS, event, numbersOf, readAll } from './log-fixture.ts'
import { testFolder } from './test-folder.ts'

const TOPICS = ['group:a', 'group:b', 'user:c', 'user:d']
const RETENTION = (topic: string): Retention =>
  topic.startsWith('user:') ? { maxEvents: 12, maxAgeMs: 200 } : { maxEvents: 4, maxAgeMs: 50 }

type Step =
  | { readonly append: readonly (readonly string[])[] }
  | { readonly passMs: number }
  | { readonly trim: 'begun' | 'done' }
  | { readonly restart: true }

const some = fc.uniqueArray(fc.constantFrom(...TOPICS), { minLength: 1 })
const steps = (topics: fc.Arbitrary<string[]>): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.record({ append: fc.array(topics, { minLength: 1, maxLength: 3 }) }) },
      { weight: 3, arbitrary: fc.record({ passMs: fc.integer({ min: 0, max: 40 }) }) },
      { weight: 1, arbitrary: fc.record({ passMs: fc.constant(DAY_MS) }) },
      { weight: 2, arbitrary: fc.record({ trim: fc.constantFrom('begun' as const, 'done' as const) }) },
      { weight: 1, arbitrary: fc.constant({ restart: true as const }) },
    ),
    { maxLength: 40 },
  )

const folder = testFolder()
let files = 0

/** Plays a script on both stores, and then asks both about every cursor that there is. */
async function compare(
  script: readonly Step[],
  tailMaxEvents: number,
  topics: readonly string[] | undefined,
  options: OpenOptions,
) {
  const clock = new FakeClock(1_000)
  const path = join(folder, `${files++}.db`)
  // No trim comes by itself: between two of them a topic may still have what is too old.
  const settings = { clock, trimIntervalMs: 1_000_000_000 }
  const openStore = () => SqliteEventStore.open({ path, tailMaxEvents, ...settings })
  await using memory = new MemoryEventStore(settings)
  const model = await memory.open('log', options)
  let store: EventStore = await openStore()
  let log = await store.open('log', options)
  const positions: Position[] = [model.head]
  for (const step of script) {
    if ('append' in step) {
      const batch = step.append.map((to) => event(null, ...to))
      const entries = await model.append(batch)
      expect(numbersOf(await log.append(batch))).toEqual(numbersOf(entries))
      positions.push(...entries.map(({ position }) => position))
    } else if ('passMs' in step) clock.advance(step.passMs)
    else if ('trim' in step) {
      await memory.trim()
      const trimmed = store.trim()
      if (step.trim === 'done') await trimmed
    } else {
      await store.close()
      store = await openStore()
      log = await store.open('log', options)
    }
  }
  await memory.trim()
  const trimmed = store.trim()
  // A topic that was emptied more than a day ago is remembered until its rows are deleted: no wider gap is told.
  const isExact = !script.some((step) => 'passMs' in step && step.passMs === DAY_MS)
  if (isExact) await expectSame(log, model, positions, topics)
  await trimmed
  await expectSame(log, model, positions, topics)
  await store.close()
}

async function expectSame(
  log: EventLog,
  model: EventLog,
  positions: readonly Position[],
  topics: readonly string[] | undefined,
) {
  expect(log.head).toEqual(model.head)
  expect(await log.position(topics)).toEqual(await model.position(topics))
  const { head } = model
  const events = [...positions, { ms: head.ms, n: head.n + 1 }]
  const times = [...new Set([0, 999, ...positions.flatMap(({ ms }) => [ms - 1, ms, ms + 1])])]
  for (const cursor of [
    ...events.map((position) => ({ kind: 'event' as const, ...position })),
    ...times.map((ms) => ({ kind: 'time' as const, ms })),
  ]) {
    const selected = topics === undefined ? {} : { topics }
    const answerOf = async (of: EventLog) => {
      const { after, gap, lostUpTo } = await of.locate(cursor, topics)
      const numbers = numbersOf(await readAll(of, after.n, { ...selected, limit: 3 }))
      return { cursor, gap, numbers, lost: gap === undefined ? undefined : (lostUpTo ?? after).n }
    }
    expect(await answerOf(log)).toEqual(await answerOf(model))
  }
  // What is still there has other milliseconds in another log.
  for (const { position } of await readAll(model, 0, topics === undefined ? {} : { topics })) {
    const { gap } = await log.locate({ kind: 'event', ms: position.ms + 1, n: position.n }, topics)
    expect(gap).toBe('log_lost')
  }
}

describe('SqliteEventStore', () => {
  const tails = fc.constantFrom(1, 2, 5, 1_000)

  it('answers as one in memory does, from the tail and from the disk, also after restarts', async () => {
    await fc.assert(
      fc.asyncProperty(steps(some), tails, fc.option(some, { nil: undefined }), (script, tail, topics) =>
        compare(script, tail, topics, { retention: RETENTION }),
      ),
      { numRuns: 60 },
    )
  })

  it('does so with the log of a run', async () => {
    await fc.assert(
      fc.asyncProperty(steps(fc.constant([])), tails, (script, tail) =>
        compare(script, tail, undefined, { runId: 'run_1', retention: RETENTION }),
      ),
      { numRuns: 30 },
    )
  })
})
