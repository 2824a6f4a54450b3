import { parseEventId, SseDecoder, type WireEvent } from '@tributary/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sseHeaders, WebSink } from '../src/index.ts'
import { fixture } from './stream-fixture.ts'

/** What happens to a reader: so many events of one manner are said in one turn, or it reads so many frames. */
type Step =
  | { readonly say: { readonly low: boolean; readonly key?: string; readonly length: number }; count: number }
  | { readonly read: number }

const say = fc.record(
  { low: fc.boolean(), key: fc.constantFrom('a', 'b'), length: fc.nat(150) },
  { requiredKeys: ['low', 'length'] },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ say, count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ read: fc.integer({ min: 1, max: 8 }) }),
)
const steps = fc.array(step, { maxLength: 60 })

interface Said {
  readonly n: number
  readonly low: boolean
  readonly key: string | undefined
}

/** Plays the steps for a reader with a small outbox, and lets it read the rest. */
async function played(all: readonly Step[]) {
  await using t = await fixture({}, { outboxMaxBytes: 600, outboxMaxEvents: 6 })
  const sink = new WebSink(sseHeaders().build())
  const stream = await t.streams.serve(
    t.options({ sink: () => sink, overflow: 'disconnect', startAt: 'head' }),
  )
  stream.start()
  const reader = sink.response.body?.getReader()
  const got: WireEvent[] = []
  const decoder = new SseDecoder({ onEvent: (event) => got.push(event) })
  let done = false
  const readOne = async () => {
    const next = await reader?.read()
    done = next?.done ?? true
    if (next?.value !== undefined) decoder.feed(next.value)
    await new Promise(setImmediate)
  }
  const read = async (most: number) => {
    for (let i = 0; i < most && sink.pendingBytes > 0 && !done; i++) await readOne()
  }
  const said: Said[] = []
  for (const each of all) {
    if ('read' in each) await read(each.read)
    else {
      const { low, key, length } = each.say
      const priority = low ? 'low' : 'normal'
      const draft = { type: 'said', data: 'x'.repeat(length), source: 'test', priority } as const
      const event = key === undefined ? draft : { ...draft, conflate: key }
      const entries = await t.log.append(Array.from({ length: each.count }, () => ({ event })))
      for (const { position } of entries) said.push({ n: position.n, low, key })
    }
  }
  await read(Number.POSITIVE_INFINITY)
  while (stream.stream.ended && !done) await readOne()
  return { got, said, ended: stream.stream.ended, cursor: numberOf(stream.lastEventId) }
}

function numberOf(id: string | null | undefined): number {
  const parsed = id === undefined || id === null ? undefined : parseEventId(id)
  return parsed?.n ?? 0
}

const gapsOf = (got: readonly WireEvent[]) =>
  got
    .filter(({ type }) => type === 'gap')
    .map(({ data }) => {
      const { from, to, reason } = JSON.parse(data)
      expect(reason).toBe('overflow')
      return { from: numberOf(from), to: numberOf(to) }
    })

describe('whatever is said, and whenever it is read, a reader', () => {
  it('gets it in order, and misses only what is of low priority or replaced, or is told to come back', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const { got, said, ended, cursor } = await played(all)
        expect(got[0]?.type).toBe('connection')
        const ids = got.filter(({ id }) => id !== undefined).map(({ id }) => numberOf(id))
        expect(ids).toEqual(ids.toSorted((a, b) => a - b))
        const delivered = got.filter(({ type }) => type === 'said').map(({ id }) => numberOf(id))
        expect(new Set(delivered).size).toBe(delivered.length)
        // Told before what follows: nothing of its range comes before or behind it.
        const gaps = gapsOf(got)
        for (const { from, to } of gaps) expect(delivered.filter((n) => n > from && n <= to)).toEqual([])
        const last = got.at(-1)
        expect(last?.type === 'disconnected').toBe(ended)
        if (ended) expect(JSON.parse(last?.data ?? '')).toEqual({ reason: 'slow_consumer', reconnect: true })
        // What it is left with: it resumes from there, or has all there is.
        expect(ended ? ids.at(-1) : cursor).toBe(cursor)
        if (!ended) expect(cursor).toBe(said.at(-1)?.n ?? 0)
        expect(delivered.every((n) => n <= cursor)).toBe(true)
        const missed = said.filter(({ n }) => n <= cursor && !delivered.includes(n))
        for (const { n, low, key } of missed) {
          const wasTold = low && gaps.some(({ from, to }) => n > from && n <= to)
          const wasReplaced =
            key !== undefined &&
            said.some((other) => other.n > n && other.key === key && delivered.includes(other.n))
          expect({ n, wasTold, wasReplaced }).not.toEqual({ n, wasTold: false, wasReplaced: false })
        }
      }),
      { numRuns: 300 },
    )
  })
})
