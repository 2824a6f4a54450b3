import { once } from 'node:events'
import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import { EventCollector } from '@tributary/testkit'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { EventStream, Frame, sseHeaders, WebSink } from '../src/index.ts'
import { webReader } from './stream-fixture.ts'

const frame = (data: string) => new Frame(`data: ${data}\n\n`)

describe('WebSink', () => {
  it('is read over a real socket as it is written', async () => {
    const sink = new WebSink(sseHeaders().build())
    const server = createServer((_request, response) => {
      response.writeHead(sink.response.status, Object.fromEntries(sink.response.headers)).flushHeaders()
      if (sink.response.body !== null) Readable.fromWeb(sink.response.body).pipe(response)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the server does not listen')
    const reader = await EventCollector.open(`http://127.0.0.1:${address.port}`)
    expect(reader.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    sink.write(frame('1'))
    await reader.waitFor('message')
    sink.write(frame('2'))
    sink.write(frame('3'))
    sink.end()
    await reader.ended
    expect(reader.events.map(({ data }) => data)).toEqual([1, 2, 3])
    await reader.close()
    server.close()
  })

  it('counts what is not read yet, and tells when it is', async () => {
    const { sink, take } = webReader()
    const stream = new EventStream(sink, { maxBytes: 100 })
    const big = frame('x'.repeat(80))
    expect(stream.hasRoomFor(1_000)).toBe(true)
    stream.send(big)
    expect(sink.pendingBytes).toBe(big.byteLength)
    expect(stream.hasRoomFor(big.byteLength)).toBe(false)
    const drained = stream.drained()
    expect(await take(1)).toHaveLength(1)
    await drained
    expect(sink.pendingBytes).toBe(0)
  })

  it('is closed when its reader leaves, once', async () => {
    const { sink, body } = webReader()
    let closed = 0
    sink.attach({ onSinkDrained: () => undefined, onSinkClosed: () => closed++ })
    await body.cancel()
    expect([sink.closed, closed]).toEqual([true, 1])
    sink.write(frame('nobody'))
    sink.end()
    expect(closed).toBe(1)
  })

  it('ends when the request is aborted, also before it began', async () => {
    const abort = new AbortController()
    const { sink, rest } = webReader(abort.signal)
    const ends: string[] = []
    new EventStream(sink).onEnd((end) => ends.push(end))
    abort.abort()
    expect(await rest()).toEqual([])
    const late = new EventStream(webReader(AbortSignal.abort()).sink)
    late.onEnd((end) => ends.push(end))
    expect(late.ended).toBe(true)
    expect(ends).toEqual(['gone', 'gone'])
  })

  it('cuts off a peer that does not read the end within its grace, and none that does', async () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const [deaf, reading] = [new WebSink(sseHeaders().build()), new WebSink(sseHeaders().build())]
    for (const sink of [deaf, reading]) {
      sink.write(frame('1'))
      sink.end()
      expect(sink.closed).toBe(true)
    }
    await vi.advanceTimersByTimeAsync(4_999)
    expect(await reading.response.text()).toBe('data: 1\n\n')
    await vi.advanceTimersByTimeAsync(1)
    await expect(deaf.response.text()).rejects.toThrow('not read')
  })
})
