import { FakeClock, ScriptedUpstream, steps } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { type ReadStreamOptions, readStream } from '../src/read-stream.ts'
import type { StreamError } from '../src/stream-error.ts'
import { settled, until } from './settled.ts'

const tick = (n: number) => steps.frame({ id: String(n), event: 'tick', data: n })
const heartbeat = steps.frame({ event: 'heartbeat', data: { timestamp: 0 } })

/** A reader on a clock of its own, with what interrupts it. */
function readerOf(url: string, options: Partial<ReadStreamOptions>) {
  const clock = new FakeClock()
  const stop = new AbortController()
  const interrupts: (StreamError | undefined)[] = []
  const interrupted = Promise.withResolvers<StreamError | undefined>()
  const events = readStream({
    url,
    fetch,
    signal: stop.signal,
    clock,
    random: () => 1,
    onInterrupt: (error) => {
      interrupts.push(error)
      interrupted.resolve(error)
    },
    ...options,
  })
  return { clock, stop, events, interrupts, interrupted: interrupted.promise }
}

describe('readStream on a stream that falls silent', () => {
  it('hangs up after 2.5 intervals, and resumes after the last id', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [tick(1)], [tick(2), steps.end()], [steps.answer(204)])
    const { clock, events, interrupts, interrupted } = readerOf(`${upstream.url}/s`, { heartbeatMs: 1_000 })
    expect(await events.next()).toMatchObject({ value: { data: '1' } })
    const next = events.next()
    await settled()
    clock.advance(2_499)
    expect(interrupts).toEqual([])
    clock.advance(1)
    expect(await interrupted).toMatchObject({ code: 'silent', retryable: true })
    await upstream.requests[0]?.closed
    clock.advance(1_000)
    expect(await next).toMatchObject({ value: { data: '2' } })
    expect(upstream.requests[1]?.headers['last-event-id']).toBe('1')
    const end = events.next()
    await until(() => interrupts.length === 2)
    clock.advance(1_000)
    expect(await end).toMatchObject({ done: true })
    expect(clock.timerCount).toBe(0)
  })

  it('hangs up on a server that does not answer at all', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [])
    const { clock, stop, events, interrupted } = readerOf(`${upstream.url}/s`, { heartbeatMs: 1_000 })
    const first = events.next()
    await upstream.waitForRequest('/s')
    clock.advance(2_500)
    expect(await interrupted).toMatchObject({ code: 'silent' })
    stop.abort()
    await expect(first).rejects.toBe(stop.signal.reason)
    expect(clock.timerCount).toBe(0)
  })

  it('takes any byte for a sign of life, also a comment and half an event', async () => {
    await using upstream = await ScriptedUpstream.start()
    const comment = Promise.withResolvers<void>()
    const half = Promise.withResolvers<void>()
    upstream.script('/s', [
      tick(1),
      steps.until(comment.promise),
      steps.raw(':\n'),
      steps.until(half.promise),
      steps.raw('data: 2\n'),
    ])
    const chunks: number[] = []
    const counting: ReadStreamOptions['fetch'] = async (url, init) => {
      const { status, headers, body } = await fetch(url, init)
      async function* counted() {
        for await (const bytes of body ?? []) {
          yield bytes
          // Back here, the reader waits for the next.
          chunks.push(bytes.length)
        }
      }
      return { status, headers, body: counted() }
    }
    const { clock, stop, events, interrupts } = readerOf(`${upstream.url}/s`, {
      heartbeatMs: 1_000,
      fetch: counting,
    })
    await events.next()
    const next = events.next()
    next.catch(() => undefined)
    for (const [n, { resolve }] of [comment, half].entries()) {
      clock.advance(2_000)
      resolve()
      await until(() => chunks.length === n + 2)
    }
    clock.advance(2_000)
    expect(interrupts).toEqual([])
    expect(clock.timerCount).toBe(1)
    stop.abort()
    await expect(next).rejects.toBe(stop.signal.reason)
    expect(clock.timerCount).toBe(0)
  })

  it('waits for ever unless it is told how often something comes', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [heartbeat, tick(1)])
    const { clock, stop, events } = readerOf(`${upstream.url}/s`, {})
    await events.next()
    await events.next()
    expect(clock.timerCount).toBe(0)
    stop.abort()
    await expect(events.next()).rejects.toBe(stop.signal.reason)
  })

  it('learns from the first heartbeat that there are some', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [tick(1), heartbeat])
    const { clock, stop, events, interrupted } = readerOf(`${upstream.url}/s`, { heartbeatMs: 'learn' })
    await events.next()
    clock.advance(86_400_000)
    clock.jumpTo(Date.UTC(2026, 0, 1))
    await events.next()
    const next = events.next()
    next.catch(() => undefined)
    await settled()
    clock.advance(75_000)
    expect(await interrupted).toMatchObject({ code: 'silent' })
    stop.abort()
    await expect(next).rejects.toBe(stop.signal.reason)
    expect(clock.timerCount).toBe(0)
  })

  it('leaves no timer behind when nobody reads on', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [tick(1)])
    const { clock, events } = readerOf(`${upstream.url}/s`, { heartbeatMs: 1_000 })
    for await (const _ of events) break
    await upstream.requests[0]?.closed
    expect(clock.timerCount).toBe(0)
  })
})
