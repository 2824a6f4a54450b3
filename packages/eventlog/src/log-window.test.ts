import type { Position } from '@tributary/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LogEntry, Retention } from './event-log.ts'
import { logEntry } from './log-entry.ts'
import { LogWindow } from './log-window.ts'

const OPENED_MS = 1_000
const TOPICS = ['group:a', 'group:b', 'user:c', 'user:d']

const retention = (topic: string): Retention =>
  topic.startsWith('user:') ? { maxEvents: 12, maxAgeMs: 200 } : { maxEvents: 4, maxAgeMs: 50 }

function entryOf(position: Position, topics: readonly string[]): LogEntry {
  const entry = logEntry(
    { type: 't', data: position.n, source: 's' },
    undefined,
    position,
    `${position.ms}-${position.n}`,
  )
  return { ...entry, topics }
}

/** The same as a LogWindow, as plainly as can be: every entry there ever was, and what each topic still has. */
class NaiveLog {
  readonly all: LogEntry[] = []
  readonly #kept = new Map<string, LogEntry[]>()

  add(entry: LogEntry): void {
    this.all.push(entry)
    for (const topic of entry.topics.length === 0 ? [''] : entry.topics) {
      this.#kept.set(topic, [...(this.#kept.get(topic) ?? []), entry])
      this.#trim(topic, entry.position.ms)
    }
  }

  trim(nowMs: number): void {
    for (const topic of this.#kept.keys()) this.#trim(topic, nowMs)
  }

  #trim(topic: string, nowMs: number): void {
    const { maxEvents, maxAgeMs } = retention(topic)
    const kept = this.#kept.get(topic) ?? []
    this.#kept.set(
      topic,
      kept.slice(-maxEvents).filter(({ position }) => position.ms >= nowMs - maxAgeMs),
    )
  }

  under(topics: readonly string[] | undefined): LogEntry[] {
    return this.all.filter(
      (entry) => topics === undefined || entry.topics.some((topic) => topics.includes(topic)),
    )
  }

  kept(topics: readonly string[] | undefined): LogEntry[] {
    const lists = (topics ?? [...this.#kept.keys()]).flatMap((topic) => this.#kept.get(topic) ?? [])
    return this.all.filter((entry) => lists.includes(entry))
  }

  /** The entries that one of these topics has lost; another of them may still have some. */
  trimmed(topics: readonly string[] | undefined): LogEntry[] {
    return this.all.filter((entry) =>
      (entry.topics.length === 0 ? [''] : entry.topics).some(
        (topic) => (topics ?? [topic]).includes(topic) && !this.#kept.get(topic)?.includes(entry),
      ),
    )
  }
}

type Step = { readonly add: readonly string[] } | { readonly passMs: number } | { readonly trim: true }

const steps = (topics: fc.Arbitrary<string[]>): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ add: topics }) },
      { weight: 2, arbitrary: fc.record({ passMs: fc.integer({ min: 0, max: 40 }) }) },
      { weight: 1, arbitrary: fc.constant({ trim: true as const }) },
    ),
    { maxLength: 60 },
  )

function played(script: readonly Step[]): { window: LogWindow; naive: NaiveLog; nowMs: number } {
  const window = new LogWindow({ openedMs: OPENED_MS, retention })
  const naive = new NaiveLog()
  let nowMs = OPENED_MS
  for (const step of script) {
    if ('passMs' in step) nowMs += step.passMs
    else if ('trim' in step) {
      window.trim(nowMs)
      naive.trim(nowMs)
    } else {
      const entry = entryOf({ ms: nowMs, n: naive.all.length + 1 }, step.add)
      window.add(entry, nowMs)
      naive.add(entry)
    }
  }
  return { window, naive, nowMs }
}

/** The numbers that a reader gets after `n`, in pages. */
function numbers(window: LogWindow, n: number, topics: readonly string[] | undefined): number[] {
  const got: number[] = []
  for (;;) {
    const page = window.read(got.at(-1) ?? n, { limit: 3, ...(topics === undefined ? {} : { topics }) })
    got.push(...page.entries.map(({ position }) => position.n))
    if (!page.hasMore) return got
    expect(page.entries).toHaveLength(3)
  }
}

const later = (entries: readonly LogEntry[], isLater: (position: Position) => boolean) =>
  entries
    .map(({ position }) => position)
    .filter(isLater)
    .map(({ n }) => n)

/** Checks every cursor there is against the naive log, for a reader of these topics. */
function compare(script: readonly Step[], topics: readonly string[] | undefined): void {
  const { window, naive, nowMs } = played(script)
  const head = naive.all.at(-1)?.position ?? { ms: OPENED_MS, n: 0 }
  expect(window.head).toEqual(head)

  const cursors = [{ ms: OPENED_MS, n: 0 }, ...naive.all.map(({ position }) => position)]
  for (const cursor of cursors) {
    const isLater = ({ n }: Position) => n > cursor.n
    expect(numbers(window, cursor.n, topics)).toEqual(later(naive.kept(topics), isLater))
    const start = window.locate({ kind: 'event', ...cursor }, topics)
    const got = numbers(window, start.after.n, topics)
    // Nothing that is kept is passed over, with or without a gap; without one, nothing at all is missing.
    expect(got).toEqual(later(naive.kept(topics), isLater))
    if (start.gap === undefined) expect(got).toEqual(later(naive.under(topics), isLater))
    else expect(start.gap).toBe('expired')
    const lostN = Math.max(0, ...later(naive.trimmed(topics), isLater))
    expect(start.gap).toBe(lostN === 0 ? undefined : 'expired')
    if (start.gap === 'expired') {
      expect((start.lostUpTo ?? start.after).n).toBe(lostN)
      const again = window.locate({ kind: 'event', ...start.after }, topics)
      expect(again.gap).toBe(start.lostUpTo === undefined ? undefined : 'expired')
    }
    if (cursor.n === 0) continue
    for (const ms of [cursor.ms - 1, cursor.ms + 1]) {
      const { gap } = window.locate({ kind: 'event', ms, n: cursor.n }, topics)
      // In a log without topics nobody knows any more when an expired event was.
      expect(topics === undefined && start.gap !== undefined ? 'log_lost' : gap).toBe('log_lost')
      expect(gap).toBeDefined()
    }
  }

  for (let ms = OPENED_MS - 1; ms <= nowMs + 1; ms++) {
    const isLater = (position: Position) => position.ms > ms
    const start = window.locate({ kind: 'time', ms }, topics)
    expect(numbers(window, start.after.n, topics)).toEqual(later(naive.kept(topics), isLater))
    expect(start.gap).toBe(later(naive.trimmed(topics), isLater).length === 0 ? undefined : 'expired')
  }
  const oldest = window.locate({ kind: 'time', ms: 0 }, topics)
  expect(oldest.gap).toBeUndefined()
  expect(numbers(window, oldest.after.n, topics)).toEqual(later(naive.kept(topics), () => true))

  const ahead = window.locate({ kind: 'event', ms: head.ms, n: head.n + 1 }, topics)
  expect(ahead.gap).toBe('ahead')
  expect(numbers(window, ahead.after.n, topics)).toEqual(later(naive.kept(topics), () => true))
}

describe('LogWindow', () => {
  it('reads and locates as a list of all entries does, by topic', () => {
    const some = fc.uniqueArray(fc.constantFrom(...TOPICS), { minLength: 1 })
    fc.assert(fc.property(steps(some), fc.option(some, { nil: undefined }), compare), { numRuns: 300 })
  })

  it('reads and locates as a list of all entries does, where there are no topics', () => {
    fc.assert(fc.property(steps(fc.constant([])), fc.constant(undefined), compare), { numRuns: 100 })
  })

  it('forgets topics that have held nothing for a day', () => {
    const window = new LogWindow({ openedMs: 0, retention })
    for (let n = 1; n <= 1_000; n++) window.add(entryOf({ ms: n, n }, [`group:${n}`]), n)
    window.trim(86_000_000)
    expect(window.topicCount).toBe(1_000)
    window.trim(86_400_500)
    expect(window.topicCount).toBe(501)
    window.trim(86_402_000)
    expect(window.topicCount).toBe(0)
    expect(window.locate({ kind: 'event', ms: 5, n: 5 }, ['group:1'])).toMatchObject({
      gap: 'expired',
      after: { n: 1_000 },
    })
  })

  it('remembers a bounded number of empty topics, the newest of them', () => {
    const window = new LogWindow({ openedMs: 0, retention })
    const count = 100_010
    for (let n = 1; n <= count; n++) window.add(entryOf({ ms: n, n }, [`group:${n}`]), n)
    window.trim(count + 1_000)
    expect(window.topicCount).toBe(100_000)
    const gapOf = (n: number, topic: number) =>
      window.locate({ kind: 'event', ms: n, n }, [`group:${topic}`]).gap
    expect(gapOf(9, 50_000)).toBe('expired')
    expect(gapOf(10, 5)).toBeUndefined()
    expect(gapOf(10, 50_000)).toBe('expired')
    expect(gapOf(50_000, 50_000)).toBeUndefined()
  })
})
