import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { EventLog } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { FakeClock, SELF_SIGNED } from '@tributary/testkit'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { replyWithLog } from '../../src/fastify.ts'
import { NodeSink, StreamServer, sseHeaders } from '../../src/index.ts'
import { NO_METER } from '../../src/stream-meter.ts'
import type { ProgramOptions, ProgramStats, Question } from './program-port.ts'
import { Script, type ScriptOptions } from './stream-script.ts'

/**
 * A server of streams as a process of its own, so that it can run under any Node. Each stream does what the `script` of
 * its address says, and then stays open.
 */
const RUN = 'run_1'
/** More than a test lasts on the clock that it holds. */
const TIMEOUT_MS = 1_000 * 3_600_000
const BIG_ANSWER = Buffer.alloc(20_000_000, '.')

const options: ProgramOptions = JSON.parse(process.argv[2] ?? '{}')
const clock = new FakeClock()
const store = new MemoryEventStore({ clock })

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

// Of the streams that are open: what Node and Fastify made for their requests.
const served = new Map<NonNullable<IncomingMessage['socket']>, WeakRef<object>[]>()
let logs = 0
const counts = { streams: 0, played: 0, dropped: 0, closes: 0, collected: 0, tracked: 0 }
const meter = { ...NO_METER, dropped: () => void counts.dropped++ }
const streams = new StreamServer({ clock, maxStreams: 0, heartbeatMs: 30_000, meter })
const registry = new FinalizationRegistry(() => {
  counts.collected += 1
})

function track(reply: FastifyReply): void {
  const { raw: request } = reply.request
  // Its client has left already.
  if (request.socket.destroyed) return
  const kept: object[] = [request, reply.raw, reply.request, reply]
  for (const each of kept) registry.register(each, undefined)
  counts.streams += 1
  counts.tracked += kept.length
  reply.raw.on('close', countClose)
  const { socket } = request
  served.set(
    socket,
    kept.map((each) => new WeakRef(each)),
  )
  socket.on('close', forget)
}

function countClose(): void {
  counts.closes += 1
}

function forget(this: NonNullable<IncomingMessage['socket']>): void {
  served.delete(this)
}

async function play(script: Script): Promise<void> {
  await script.run()
  counts.played += 1
}

async function openLog(): Promise<EventLog> {
  return store.open(`log_${logs++}`, {
    runId: RUN,
    retention: () => ({ maxEvents: 1_000_000, maxAgeMs: TIMEOUT_MS }),
  })
}

type ScriptQuery = { Querystring: ScriptOptions }

function addRoutes(app: FastifyInstance): void {
  app.route<ScriptQuery>({
    method: ['GET', 'POST'],
    url: '/stream',
    handler: async (request, reply) => {
      const log = await openLog()
      const script = new Script(log, request.query)
      await script.before()
      const times = { timeoutMs: TIMEOUT_MS, maxTimeoutMs: TIMEOUT_MS }
      const stream = await replyWithLog(reply, {
        ...times,
        streams,
        log,
        runId: RUN,
        query: {},
        naming: 'standard',
      })
      if (stream === undefined) return reply
      track(reply)
      void play(script)
      return reply
    },
  })
  // As a hub does: who is too slow is not waited for.
  app.get<ScriptQuery>('/live', async (request, reply) => {
    const log = await openLog()
    const script = new Script(log, request.query)
    const stream = await streams.serve({
      log,
      sink: (turn) => {
        reply.hijack()
        return new NodeSink(reply.raw, sseHeaders().build(), turn)
      },
      connectionId: log.name,
      startAt: 'head',
      timeoutMs: TIMEOUT_MS,
      overflow: 'disconnect',
      follow: true,
    })
    stream.start()
    track(reply)
    void play(script)
    return reply
  })
  app.get('/plain', async () => ({ plain: true }))
  app.get('/big', async (_request, reply) => reply.type('text/plain').send(BIG_ANSWER))
}

async function statsOf(server: Server): Promise<ProgramStats> {
  // What a turn has let go of is collected in another.
  for (let i = 0; i < 3; i++) {
    await nextTurn()
    collect()
  }
  const { promise, resolve } = Promise.withResolvers<number>()
  server.getConnections((_error, count) => resolve(count))
  const alive = [...served.values()].map((kept) => kept.filter((each) => each.deref() !== undefined).length)
  return {
    ...counts,
    open: streams.size,
    admitted: streams.admitted,
    sockets: await promise,
    taken: [...served.keys()].filter((socket) => Reflect.get(socket, 'parser') === null).length,
    alive: alive.reduce((sum, each) => sum + each, 0),
    handles: process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length,
    heldBytes: process.memoryUsage().heapUsed,
  }
}

const serverFactory = (handler: (request: IncomingMessage, response: ServerResponse) => void) =>
  createTlsServer(SELF_SIGNED, handler)
const app = Fastify({
  ...(options.tls === true ? { serverFactory } : {}),
  exposeHeadRoutes: true,
})
app.addHook('preClose', async () => streams.endAll('drain'))
addRoutes(app)

async function answer(question: Question): Promise<unknown> {
  if (question.ask === 'stats') return statsOf(app.server)
  if (question.ask === 'advance') return clock.advance(question.ms)
  if (question.ask === 'close-app') return app.close()
  const closed = new Promise((resolve) => app.server.close(resolve))
  streams.endAll('drain')
  return void (await closed)
}

process.on('message', (question: Question) => {
  void answer(question).then((said) => process.send?.({ said: said ?? null }))
})
const where = options.socketPath === undefined ? { port: 0, host: '127.0.0.1' } : { path: options.socketPath }
await app.listen(where)
const address = app.server.address()
process.send?.({ port: typeof address === 'object' ? address?.port : 0 })
