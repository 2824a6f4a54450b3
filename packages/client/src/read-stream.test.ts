import { FakeClock, ScriptedUpstream, steps } from '@tributary/testkit'
import { Agent, fetch as undiciFetch } from 'undici'
import { afterAll, describe, expect, it } from 'vitest'
import { readAll } from '../test/read-all.ts'
import { type Fetch, openStream } from './open-stream.ts'
import { readStream } from './read-stream.ts'

const dispatcher = new Agent()
const fetch: Fetch = (url, init) => undiciFetch(url, { ...init, dispatcher })

afterAll(() => dispatcher.destroy())

const connection = steps.frame({ event: 'connection', data: { status: 'connected' } })
const heartbeat = steps.frame({ event: 'heartbeat', data: { timestamp: 0 } })
const tick = (n: number) => steps.frame({ id: String(n), event: 'tick', data: n })

describe('readStream', () => {
  it('resumes after the last id whenever it breaks, and ends on 204', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [tick(1), tick(2), steps.destroy()], [tick(3), steps.end()], [steps.answer(204)])
    const { events, interrupts } = await readAll(`${upstream.url}/s`)
    expect(events).toEqual(['1', '2', '3'])
    expect(upstream.requests.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '2', '3'])
    // One break, one clean end.
    expect(interrupts.map((error) => error?.code)).toEqual(['connection', undefined])
  })

  it('takes an id without an event for its cursor', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [tick(1), steps.frame({ id: '9' }), steps.end()], [steps.answer(204)])
    await readAll(`${upstream.url}/s`)
    expect(upstream.requests[1]?.headers['last-event-id']).toBe('9')
  })

  it('is let in anew with the cursor of a stream that was closed for good', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [tick(6), steps.end()], [steps.answer(204)])
    const { events } = await readAll(`${upstream.url}/s`, { lastEventId: '5.closed' })
    expect(events).toEqual(['6'])
    expect(upstream.requests[0]?.headers['last-event-id']).toBe('5')
  })

  it('waits longer each time, as long as retry: and Retry-After say, and from the start after an event', async () => {
    await using upstream = await ScriptedUpstream.start()
    const busy = steps.answer(503, { 'retry-after': '2' })
    upstream.script(
      '/s',
      [steps.destroy()],
      [steps.destroy()],
      [busy],
      [steps.raw('retry: 100\n\n'), tick(1), steps.end()],
      [steps.answer(204)],
    )
    const { waits } = await readAll(`${upstream.url}/s`, { retryMs: 10 })
    expect(waits).toEqual([10, 20, 2_040, 100])
  })

  it('waits no longer than it is told at most, and never not at all', async () => {
    await using upstream = await ScriptedUpstream.start()
    const late = steps.answer(503, { 'retry-after': '3600' })
    upstream.script(
      '/s',
      [late],
      [steps.raw('retry: 86400000\n\n'), steps.end()],
      [tick(1), steps.raw('retry: 0\n\n'), steps.end()],
      [steps.answer(204)],
    )
    const { waits } = await readAll(`${upstream.url}/s`, { maxRetryMs: 500 })
    expect(waits).toEqual([500, 500, 100])
  })

  it('waits as long as Retry-After says beyond its own maximum, in seconds and as a date', async () => {
    await using upstream = await ScriptedUpstream.start()
    const clock = new FakeClock()
    const refusal = (retryAfter: string) => steps.answer(429, { 'retry-after': retryAfter })
    const inAMinute = new Date(clock.now() + 60_000).toUTCString()
    upstream.script(
      '/s',
      [refusal('60')],
      [refusal(inAMinute)],
      [refusal('soon')],
      [refusal('86400')],
      [steps.answer(204)],
    )
    const { waits } = await readAll(`${upstream.url}/s`, {}, clock)
    expect(waits).toEqual([61_000, 62_000, 4_000, 300_000])
  })

  it.each([408, 425, 429, 500, 502, 503, 504])('tries again after HTTP %i', async (status) => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [steps.answer(status)], [tick(1), steps.end()], [steps.answer(204)])
    const { events, interrupts } = await readAll(`${upstream.url}/s`)
    expect(events).toEqual(['1'])
    expect(interrupts[0]).toMatchObject({ code: 'status', status, retryable: true })
  })

  it('waits longer each time for a server that lets it in and says nothing', async () => {
    await using upstream = await ScriptedUpstream.start()
    const mute = [connection, heartbeat, steps.end()]
    upstream.script(
      '/s',
      mute,
      mute,
      [connection, steps.destroy()],
      [...mute.slice(0, 2), tick(1), steps.end()],
      [steps.answer(204)],
    )
    const { waits } = await readAll(`${upstream.url}/s`)
    expect(waits).toEqual([1_000, 2_000, 4_000, 1_000])
  })

  it('begins anew after a stream that stood for long, and after one that the server ended in time', async () => {
    await using upstream = await ScriptedUpstream.start()
    const clock = new FakeClock()
    const timeout = steps.frame({ event: 'disconnected', data: { reason: 'timeout', reconnect: true } })
    upstream.script(
      '/s',
      [steps.destroy()],
      [connection, steps.end()],
      [connection, steps.frame({ id: 'long' }), steps.end()],
      [steps.destroy()],
      [connection, timeout, steps.end()],
      [steps.answer(204)],
    )
    const onId = () => clock.advance(5_000)
    const { waits } = await readAll(`${upstream.url}/s`, { onId }, clock)
    expect(waits).toEqual([1_000, 2_000, 1_000, 2_000, 1_000])
  })

  it('takes a busy stream for a refusal, and its retry: for the least wait', async () => {
    await using upstream = await ScriptedUpstream.start()
    const busy = [
      steps.raw('retry: 3000\n\n'),
      steps.frame({ event: 'disconnected', data: { reason: 'busy', reconnect: true } }),
      steps.end(),
    ]
    upstream.script('/s', busy, busy, busy, [steps.answer(204)])
    const { waits } = await readAll(`${upstream.url}/s`, { random: () => 0 })
    expect(waits).toEqual([3_100, 3_100, 3_100])
    await using again = await ScriptedUpstream.start()
    again.script('/s', busy, busy, busy, [steps.answer(204)])
    expect((await readAll(`${again.url}/s`)).waits).toEqual([6_000, 9_000, 15_000])
  })

  it('ends for good after a disconnected event that says so, and not after any other', async () => {
    await using upstream = await ScriptedUpstream.start()
    const disconnected = (data: unknown) => steps.frame({ event: 'disconnected', data })
    upstream.script(
      '/s',
      [
        disconnected('no JSON'),
        disconnected(null),
        disconnected({ reason: 'drain', reconnect: true }),
        steps.end(),
      ],
      // Left open: it is the reader that goes.
      [
        tick(2),
        steps.raw('retry: 86400000\n'),
        disconnected({ reason: 'forced', reconnect: false }),
        tick(3),
      ],
    )
    const { events, waits } = await readAll(`${upstream.url}/s`)
    expect(events.slice(3)).toEqual(['2', '{"reason":"forced","reconnect":false}'])
    expect(waits).toHaveLength(1)
    await upstream.requests[1]?.closed
  })

  it.each([
    [401, 'status'],
    [404, 'status'],
    [302, 'status'],
  ])('gives up on HTTP %i', async (status, code) => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [steps.answer(status, {}, 'why')])
    const manual: Fetch = (url, init) => undiciFetch(url, { ...init, dispatcher, redirect: 'manual' })
    const reading = readAll(`${upstream.url}/s`, { fetch: manual })
    await expect(reading).rejects.toMatchObject({ code, status, retryable: false, body: 'why' })
    expect(upstream.requests).toHaveLength(1)
  })

  it('is over where isOver says so', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [tick(1), steps.end()])
    expect(await readAll(`${upstream.url}/s`, { isOver: () => true })).toMatchObject({
      events: ['1'],
      waits: [],
    })
  })

  it('throws the reason of its abort, in the midst of an answer and of a wait', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/open', [tick(1)]).script('/busy', [steps.answer(503)])
    const stop = new AbortController()
    const clock = new FakeClock()
    const open = readStream({ url: `${upstream.url}/open`, fetch, signal: stop.signal, clock })
    expect(await open.next()).toMatchObject({ value: { data: '1' } })
    const next = open.next()
    const interrupted = Promise.withResolvers<void>()
    const busy = readStream({
      url: `${upstream.url}/busy`,
      fetch,
      signal: stop.signal,
      clock,
      onInterrupt: () => interrupted.resolve(),
    }).next()
    await interrupted.promise
    const reason = new Error('enough')
    stop.abort(reason)
    await expect(next).rejects.toBe(reason)
    await expect(busy).rejects.toBe(reason)
    await upstream.requests[0]?.closed
    expect(clock.timerCount).toBe(0)
  })
})

describe('openStream', () => {
  const open = (url: string, maxEventChars?: number) =>
    openStream({ url, fetch, signal: AbortSignal.timeout(10_000), maxEventChars })

  it('reads no more than the beginning of what is no stream, and lets go of it', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.route('/page', (_, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).write('<p>'.repeat(9_999)),
    )
    const opening = open(`${upstream.url}/page`)
    await expect(opening).rejects.toMatchObject({
      code: 'content_type',
      status: 200,
      body: '<p>'.repeat(9_999).slice(0, 4_096),
    })
    // It has no end of its own.
    await upstream.requests[0]?.closed
  })

  it('holds no more of an event than it is told', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [tick(1), steps.hugeLine(50_000_000), steps.end()])
    const stream = await open(`${upstream.url}/s`, 1_000)
    const read = async () => {
      for await (const part of stream?.events ?? []) if ('event' in part) expect(part.event.data).toBe('1')
    }
    await expect(read()).rejects.toMatchObject({ code: 'event_too_large', retryable: false })
    await upstream.requests[0]?.closed
  })

  it('lets go of its connection when nobody reads on', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [tick(1), tick(2)])
    const stream = await open(`${upstream.url}/s`)
    for await (const part of stream?.events ?? []) if ('event' in part) break
    await upstream.requests[0]?.closed
  })
})
