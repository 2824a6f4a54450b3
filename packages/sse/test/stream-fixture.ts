import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { EventLog, LogEntry, OpenOptions, ReadableLog } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { SseDecoder, type WireEvent } from '@tributary/protocol'
import { FakeClock } from '@tributary/testkit'
import {
  type ServeOptions,
  StreamServer,
  type StreamServerOptions,
  sseHeaders,
  WebSink,
} from '../src/index.ts'

const KEEP_ALL: OpenOptions['retention'] = () => ({ maxEvents: 1_000_000, maxAgeMs: 86_400_000 })
export const TIMEOUT_MS = 300_000

/** A log and a server of streams over it, on a clock that stands still. */
export async function fixture(open: Partial<OpenOptions> = {}, server: Partial<StreamServerOptions> = {}) {
  const clock = new FakeClock()
  const store = new MemoryEventStore({ clock })
  const log = await store.open('log', { retention: KEEP_ALL, ...open })
  const streams = new StreamServer({ clock, random: () => 0, ...server })
  /** What `serve` takes, for a reader who gets all there is. */
  const options = (more: Partial<ServeOptions> & Pick<ServeOptions, 'sink'>): ServeOptions => ({
    log,
    connectionId: 'c1',
    startAt: 'oldest',
    timeoutMs: TIMEOUT_MS,
    overflow: 'catch_up',
    follow: true,
    ...more,
  })
  return { clock, store, log, streams, options, [Symbol.asyncDispose]: () => store.close() }
}

/** A log that does some things otherwise. */
export function logWith(log: ReadableLog, other: Partial<ReadableLog>): ReadableLog {
  return {
    name: log.name,
    get head() {
      return log.head
    },
    get closed() {
      return log.closed
    },
    idOf: (position) => log.idOf(position),
    locate: (cursor, topics) => log.locate(cursor, topics),
    read: (afterN, options) => log.read(afterN, options),
    position: (topics) => log.position(topics),
    tail: (listener) => log.tail(listener),
    follow: (topics) => log.follow(topics),
    onRewind: (listener) => log.onRewind(listener),
    ...other,
  }
}

/** Appends one event for each of the data, in one batch; with groups, for those. */
export function append(
  log: EventLog,
  data: readonly unknown[],
  ...groups: string[]
): Promise<readonly LogEntry[]> {
  return log.append(
    data.map((each) => ({
      event: { type: 'said', data: each, source: 'test' },
      ...(groups.length === 0 ? {} : { audience: { groups } }),
    })),
  )
}

/** Reads the events of an answer one by one; leaving the loop hangs up. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<WireEvent> {
  const events: WireEvent[] = []
  const decoder = new SseDecoder({ onEvent: (event) => events.push(event) })
  for await (const chunk of body) {
    decoder.feed(chunk)
    yield* events.splice(0)
  }
}

/** A sink that a test reads by hand, from a Web `Response`. */
export function webReader(signal?: AbortSignal) {
  const sink = new WebSink(sseHeaders().build(), signal)
  const { body } = sink.response
  if (body === null) throw new Error('the response has no body')
  const events = readEvents(body)
  /** The next events, as many as asked for; fewer where the stream ends. */
  const take = async (count: number): Promise<WireEvent[]> => {
    const taken: WireEvent[] = []
    while (taken.length < count) {
      const { value, done } = await events.next()
      if (done) break
      taken.push(value)
    }
    return taken
  }
  return { sink, events, take, rest: () => take(Number.POSITIVE_INFINITY), body }
}

/** The JSON of events. */
export const dataOf = (events: readonly WireEvent[]): unknown[] => events.map(({ data }) => JSON.parse(data))

/** A real HTTP server on a free port of loopback. */
export async function httpServer(handler: (path: string, response: ServerResponse) => unknown) {
  const server = createServer((request, response) => void handler(request.url ?? '/', response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen')
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
