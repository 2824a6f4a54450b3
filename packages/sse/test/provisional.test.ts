import type { LogEntry, ReadableLog } from '@tributary/eventlog'
import type { Position } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import { append, dataOf, fixture, logWith, webReader } from './stream-fixture.ts'

/** A log that a node has not followed up to its end: it stands at its first entry, and knows of something without a place. */
async function behind(headOf = (first: Position, _last: Position) => first) {
  const t = await fixture()
  const entries = await append(t.log, [1, 2, 3])
  const [first, , last] = entries
  if (first === undefined || last === undefined) throw new Error('nothing was appended')
  const isFirst = { is: true }
  const listeners = new Set<(entry: LogEntry) => void>()
  const provisional: LogEntry[] = []
  const head = () => (isFirst.is ? headOf(first.position, last.position) : t.log.head)
  const wait = (count: number) => {
    const entry: LogEntry = { ...last, position: head(), origin: `node.${count}`, provisional: true }
    provisional.push(entry)
    for (const listener of listeners) listener(entry)
  }
  wait(1)
  const log: ReadableLog = logWith(t.log, {
    tail(listener) {
      listeners.add(listener)
      return t.log.tail(listener)
    },
  })
  Object.defineProperty(log, 'head', { get: head })
  Object.defineProperty(log, 'provisional', { get: () => provisional })
  return {
    ...t,
    behind: log,
    first,
    last,
    wait,
    provisional,
    catchUp() {
      isFirst.is = false
    },
  }
}

describe('an event that has no place in the log yet', () => {
  it('is sent to who has come no further than the node', async () => {
    await using t = await behind()
    const { sink, take } = webReader()
    const cursor = { kind: 'event', ...t.first.position } as const
    const stream = await t.streams.serve(t.options({ log: t.behind, cursor, sink: () => sink }))
    stream.start()
    expect(dataOf(await take(2)).at(-1)).toBe(3)
    stream.end('drain')
  })

  it('is kept from who has come further: it may have had that at its place', async () => {
    await using t = await behind()
    const { sink, take } = webReader()
    const cursor = { kind: 'event', ...t.last.position } as const
    const stream = await t.streams.serve(t.options({ log: t.behind, cursor, sink: () => sink }))
    stream.start()
    t.catchUp()
    // The first still waits: a cursor that says that he has both would have that passed over.
    t.wait(2)
    await append(t.log, [4])
    expect(dataOf(await take(2)).at(-1)).toBe(4)
    t.provisional.length = 0
    t.wait(3)
    expect((await take(1))[0]?.id).toMatch(/~node\.3~node\.3$/)
    stream.end('drain')
  })

  it('is kept from who has been elsewhere at the number where the node stands, and later', async () => {
    await using t = await behind((_, { n, ms }) => ({ n, ms: ms - 1 }))
    const { sink, take } = webReader()
    const cursor = { kind: 'event', ...t.last.position } as const
    const stream = await t.streams.serve(t.options({ log: t.behind, cursor, sink: () => sink }))
    stream.start()
    // As the node does, which has found that what it had there is lost.
    t.catchUp()
    await append(t.log, [4])
    const frames = await take(2)
    expect(dataOf(frames).at(-1)).toBe(4)
    expect(frames.at(-1)?.id).not.toContain('~')
    stream.end('drain')
  })

  it('is kept from who comes when the node has come as far, and does not know whether it has its place', async () => {
    await using t = await behind()
    // As one does that follows nothing, and is told how far the log goes.
    t.catchUp()
    const { sink, take } = webReader()
    const cursor = { kind: 'event', ...t.last.position } as const
    const stream = await t.streams.serve(t.options({ log: t.behind, cursor, sink: () => sink }))
    stream.start()
    await append(t.log, [4])
    const frames = await take(2)
    expect(dataOf(frames).at(-1)).toBe(4)
    expect(frames.at(-1)?.id).not.toContain('~')
    stream.end('drain')
  })
})
