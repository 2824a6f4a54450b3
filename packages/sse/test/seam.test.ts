import type { EventLog, LogEntry, ReadableLog } from '@tributary/eventlog'
import { describe, expect, it } from 'vitest'
import { type LogStream, NodeSink, type StreamServer, sseHeaders, WebSink } from '../src/index.ts'
import { requestCursor } from '../src/request-cursor.ts'
import { append, fixture, httpServer, logWith, readEvents, TIMEOUT_MS } from './stream-fixture.ts'

const EVENTS = 3_000
const READERS = 36
const GROUPS = ['a', 'b', 'c']

/** Numbers that look random and are the same each time (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** A log as one behind a network: its answers come in a later turn, and so may be old when they come. */
function slowLog(log: ReadableLog, random: (below: number) => number): ReadableLog {
  const later = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (let turns = random(4); turns > 0; turns--) await new Promise(setImmediate)
    const answer = await ask()
    for (let turns = random(6); turns > 0; turns--) await new Promise(setImmediate)
    return answer
  }
  return logWith(log, {
    locate: (cursor, topics) => later(() => log.locate(cursor, topics)),
    read: (afterN, options) => later(() => log.read(afterN, { ...options, limit: 1 + random(40) })),
  })
}

/** Publishes at full speed: bursts within a turn, batches, and now and then a turn for the others. */
async function publish(log: EventLog, random: (below: number) => number): Promise<void> {
  for (let n = 1; n <= EVENTS; ) {
    const pending: Promise<unknown>[] = []
    for (let burst = random(8); burst >= 0 && n <= EVENTS; burst--) {
      const groups = GROUPS.filter(() => random(2) === 0)
      const batch = Array.from({ length: Math.min(1 + random(3), EVENTS - n + 1) }, () => n++)
      pending.push(append(log, batch, ...(groups.length === 0 ? ['none'] : groups)))
    }
    if (random(3) > 0) await Promise.all(pending)
    if (random(2) === 0) await new Promise(setImmediate)
  }
  await log.append([
    { event: { type: 'last', data: 0, source: 'test' }, audience: { groups: [...GROUPS, 'none'] } },
  ])
}

interface Reader {
  readonly groups: readonly string[] | undefined
  readonly follow: boolean
  readonly got: number[]
  lastEventId: string | undefined
  /** The number after which its first connection began. */
  beganAfterN: number | undefined
  connections: number
}

type Connect = (reader: Reader) => Promise<ReadableStream<Uint8Array>>

/** Reads until the last event, hanging up and coming back with its last id at random. */
async function readAll(reader: Reader, connect: Connect, random: (below: number) => number): Promise<void> {
  for (let isDone = false; !isDone; ) {
    reader.connections += 1
    let patience = random(3) === 0 ? random(5) : 20 + random(400)
    for await (const event of readEvents(await connect(reader))) {
      if (event.type === 'gap' || event.type === 'disconnected')
        throw new Error(`${event.type}: ${event.data}`)
      reader.lastEventId = event.id ?? reader.lastEventId
      if (event.type === 'connection') reader.beganAfterN ??= Number(event.id?.split('-').at(-1))
      if (event.type === 'said') reader.got.push(Number(event.data))
      if (event.type === 'last') isDone = true
      if (isDone || --patience < 0) break
    }
  }
}

/** What a hub does for readers that do not follow the log by themselves: offers them what is under their topics. */
function fanOut(log: ReadableLog) {
  const offered = new Map<LogStream, readonly string[] | undefined>()
  log.tail((entry) => {
    for (const [stream, topics] of offered) {
      if (topics === undefined || entry.topics.some((topic) => topics.includes(topic))) stream.offer(entry)
    }
  })
  return (stream: LogStream, topics: readonly string[] | undefined) => {
    offered.set(stream, topics)
    stream.onEnd(() => offered.delete(stream))
  }
}

async function played(
  seed: number,
  transport: (
    open: (reader: Reader, sink: () => NodeSink | WebSink) => Promise<void>,
    readers: Reader[],
  ) => Promise<{
    connect: Connect
    [Symbol.asyncDispose](): Promise<void>
  }>,
): Promise<void> {
  const random = randomOf(seed)
  await using t = await fixture({}, { outboxMaxBytes: 4_000 })
  const log = slowLog(t.log, random)
  const keep = fanOut(t.log)
  const published: LogEntry[] = []
  t.log.tail((entry) => published.push(entry))
  const readers = Array.from(
    { length: READERS },
    (_, i): Reader => ({
      groups: i % 3 === 0 ? undefined : GROUPS.filter(() => random(2) === 0),
      follow: i % 2 === 0,
      got: [],
      lastEventId: undefined,
      beganAfterN: undefined,
      connections: 0,
    }),
  )
  await using net = await transport(async (reader, sink) => {
    const presented = requestCursor({ lastEventId: reader.lastEventId })
    const topics =
      reader.groups === undefined ? undefined : [...reader.groups, 'none'].map((group) => `group:${group}`)
    const stream = await t.streams.serve({
      log,
      sink,
      connectionId: 'c',
      ...(presented === undefined ? {} : { cursor: presented.cursor, cursorText: presented.text }),
      // Who begins at the head once all is published would wait for ever.
      startAt: random(2) === 0 && published.at(-1)?.event.type !== 'last' ? 'head' : 'oldest',
      timeoutMs: TIMEOUT_MS,
      overflow: 'catch_up',
      follow: reader.follow,
      ...(topics === undefined ? {} : { topics: () => topics }),
      // Who follows hears of all there is.
      accepts: (entry) => topics === undefined || entry.topics.some((topic) => topics.includes(topic)),
    })
    if (!reader.follow) keep(stream, topics)
    stream.start()
  }, readers)
  await Promise.all([
    publish(t.log, random),
    ...readers.map(async (reader) => {
      for (let turns = random(300); turns > 0; turns--) await new Promise(setImmediate)
      await readAll(reader, net.connect, random)
    }),
  ])
  for (const { groups, got, beganAfterN = 0 } of readers) {
    const topics = [...(groups ?? GROUPS), 'none'].map((group) => `group:${group}`)
    const due = published.filter(
      ({ position, topics: of, event }) =>
        event.type === 'said' && position.n > beganAfterN && of.some((topic) => topics.includes(topic)),
    )
    expect(got).toEqual(due.map(({ event }) => event.data))
  }
  expect(readers.reduce((sum, { connections }) => sum + connections, 0)).toBeGreaterThan(3 * READERS)
  expect(streamsLeft(t.streams)).toBeLessThanOrEqual(READERS)
}

const streamsLeft = (streams: StreamServer) => streams.size

describe('the seam between replay and live loses nothing and repeats nothing', () => {
  it.each([1, 2, 3, 4])('for readers of Web responses (seed %d)', async (seed) => {
    await played(seed, async (open) => ({
      async connect(reader) {
        let body: ReadableStream<Uint8Array> | null = null
        await open(reader, () => {
          const sink = new WebSink(sseHeaders().build())
          body = sink.response.body
          return sink
        })
        if (body === null) throw new Error('no stream was opened')
        return body
      },
      async [Symbol.asyncDispose]() {},
    }))
  })

  it.each([5, 6])('for readers over real sockets (seed %d)', async (seed) => {
    await played(seed, async (open, readers) => {
      const server = await httpServer((path, response) => {
        const reader = readers[Number(path.slice(1))]
        if (reader === undefined) throw new Error(`there is no reader ${path}`)
        return open(reader, () => new NodeSink(response, sseHeaders().build()))
      })
      return {
        async connect(reader) {
          const { body } = await fetch(`${server.url}/${readers.indexOf(reader)}`)
          if (body === null) throw new Error('the answer has no body')
          return body
        },
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      }
    })
  })
})
