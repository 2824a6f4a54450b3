import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { EventCollector, FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { HeartbeatFrames } from '../src/heartbeat-frames.ts'
import { NodeSink, sseHeaders } from '../src/index.ts'
import { streamFaults } from '../src/stream-faults.ts'
import { StreamTimer } from '../src/stream-timer.ts'
import { DEFAULT_TICK_MS, TimerWheel } from '../src/timer-wheel.ts'
import { fixture, TIMEOUT_MS, webReader } from './stream-fixture.ts'

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return `http://127.0.0.1:${port}`
}

describe('the faults of a stream server', () => {
  it('are none while streams come, beat, are renewed and end', async () => {
    await using fx = await fixture()
    const readers = [webReader(), webReader(), webReader()]
    const opened = await Promise.all(
      readers.map(({ sink }) => fx.streams.serve(fx.options({ sink: () => sink }))),
    )
    for (const stream of opened) stream.start()
    expect(fx.streams.faults()).toEqual([])
    fx.clock.advance(120_000)
    expect(fx.streams.faults()).toEqual([])
    fx.streams.renew(opened[0] ?? expect.fail(), { expiresAt: fx.clock.now() + 60_000 })
    await readers[1]?.body.cancel().catch(() => undefined)
    opened[2]?.end('forced')
    expect(fx.streams.faults()).toEqual([])
    fx.clock.advance(TIMEOUT_MS)
    expect([fx.streams.size, fx.streams.faults()]).toEqual([0, []])
  })

  it('tell of a stream whose socket is gone without a word, and end it', async () => {
    await using fx = await fixture({}, { maxStreams: 1 })
    const socket = Promise.withResolvers<Socket>()
    await using server = createServer((request, response) => {
      socket.resolve(request.socket)
      void fx.streams
        .serve(fx.options({ sink: (turn) => new NodeSink(response, sseHeaders().build(), turn) }))
        .then((stream) => stream.start())
    })
    await using reader = await EventCollector.open(await listening(server))
    await reader.waitFor('connection')
    expect(fx.streams.faults()).toEqual([])
    // As a fault of Node's, or of ours, would have it: closed, and nobody hears of it.
    ;(await socket.promise).removeAllListeners('close').destroy()
    const [fault, ...others] = fx.streams.faults()
    expect([fault?.kind, fault?.id, others]).toEqual(['leaked_connection', 'c1', []])
    expect(fx.streams.admitted).toBe(1)
    await fault?.correct()
    expect([fx.streams.size, fx.streams.admitted, fx.streams.faults()]).toEqual([0, 0, []])
    await fault?.correct()
    expect(fx.streams.admitted).toBe(0)
  })

  it('tell of timers without a stream, and of streams without a timer', async () => {
    await using fx = await fixture()
    const reader = webReader()
    const stream = await fx.streams.serve(fx.options({ sink: () => reader.sink, startAt: 'head' }))
    stream.start()
    const clock = new FakeClock()
    const wheel = new TimerWheel(clock)
    const timer = new StreamTimer(
      {
        wheel,
        heartbeats: new HeartbeatFrames(),
        heartbeatMs: 1_000,
        expiryWarningMs: 0,
        now: () => clock.now(),
      },
      stream,
      TIMEOUT_MS,
      undefined,
    )
    const look = (held: [typeof stream, StreamTimer][]) =>
      streamFaults({ streams: new Map(held), wheel, forget: () => undefined })

    const [leaked] = look([])
    expect([leaked?.kind, leaked?.id]).toEqual(['leaked_timer', 'c1'])
    await leaked?.correct()
    expect(look([])).toEqual([])

    const [lost] = look([[stream, timer]])
    expect(lost?.kind).toBe('lost_timer')
    // Long after both its heartbeat and its end were due.
    clock.advance(TIMEOUT_MS + 10_000)
    await lost?.correct()
    expect(look([[stream, timer]])).toEqual([])
    clock.advance(2 * DEFAULT_TICK_MS)
    expect(stream.stream.ended).toBe(true)
    expect((await reader.rest()).at(-1)?.data).toContain('timeout')
  })
})
