import { once } from 'node:events'
import { FakeClock, ScriptedUpstream, steps } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { EventSource, type EventSourceInit } from '../src/event-source.ts'
import { StreamErrorEvent } from '../src/stream-error-event.ts'
import { settled, until } from './settled.ts'

const tick = (n: number) => steps.frame({ id: String(n), data: n })

/** Opens a source that comes back at once, and notes what it says. */
function sourceOf(url: string, init: EventSourceInit = {}) {
  const source = new EventSource(url, { retryMs: 1, ...init })
  const messages: unknown[] = []
  const errors: StreamErrorEvent[] = []
  const closed = Promise.withResolvers<StreamErrorEvent>()
  source.onmessage = ({ data }) => messages.push(data)
  source.onerror = (event) => {
    if (!(event instanceof StreamErrorEvent)) return
    errors.push(event)
    if (source.readyState === EventSource.CLOSED) closed.resolve(event)
  }
  return { source, messages, errors, closed: closed.promise }
}

describe('EventSource', () => {
  it('sends its headers with each attempt, its own among them', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [tick(1), steps.end()], [steps.answer(204)])
    const headers = { 'X-Auth-Token': 'your-token', Accept: 'text/event-stream;q=1', 'Last-Event-ID': '0' }
    await sourceOf(`${upstream.url}/s`, { headers }).closed
    expect(
      upstream.requests.map(({ headers: sent }) => [
        sent['x-auth-token'],
        sent.accept,
        sent['last-event-id'],
        sent['cache-control'],
      ]),
    ).toEqual([
      ['your-token', 'text/event-stream;q=1', '0', 'no-cache'],
      ['your-token', 'text/event-stream;q=1', '1', 'no-cache'],
    ])
  })

  it('asks for the headers anew before each attempt, and again while they cannot be had', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [tick(1), steps.end()], [tick(2), steps.end()], [steps.answer(204)])
    let attempt = 0
    const headers = async () => {
      attempt += 1
      if (attempt === 2) throw new Error('no token today')
      return { authorization: `Bearer ${attempt}` }
    }
    const { closed, errors } = sourceOf(`${upstream.url}/s`, { headers })
    await closed
    expect(upstream.requests.map(({ headers: { authorization } }) => authorization)).toEqual([
      'Bearer 1',
      'Bearer 3',
      'Bearer 4',
    ])
    expect(errors[1]?.error).toMatchObject({ code: 'connection', cause: { message: 'no token today' } })
  })

  it('goes on from the cursor that it is given, and sends one as UTF-8', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [steps.frame({ id: 'nächste', data: 1 }), steps.end()], [steps.answer(204)])
    await sourceOf(`${upstream.url}/s`, { lastEventId: '41' }).closed
    const cursors = upstream.requests.map(({ headers }) => String(headers['last-event-id']))
    expect(cursors.map((cursor) => Buffer.from(cursor, 'latin1').toString())).toEqual(['41', 'nächste'])
  })

  it('tries a refusal again that may pass, and says so', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script(
      '/s',
      [steps.answer(503, { 'retry-after': '0' })],
      [steps.answer(429)],
      [tick(1), steps.end()],
      [steps.answer(204)],
    )
    const { source, messages, errors, closed } = sourceOf(`${upstream.url}/s`)
    const states: number[] = []
    source.addEventListener('error', () => states.push(source.readyState))
    await closed
    expect(messages).toEqual(['1'])
    expect(errors.map(({ status }) => status)).toEqual([503, 429, undefined, undefined])
    expect(states).toEqual([0, 0, 0, 2])
  })

  it('says why it gives up', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [steps.answer(401, {}, 'Send a token.')])
    const { source, closed } = sourceOf(`${upstream.url}/s`)
    const { status, message, error } = await closed
    expect([status, message, error?.body]).toEqual([401, 'The answer was HTTP 401', 'Send a token.'])
    expect(source.readyState).toBe(EventSource.CLOSED)
  })

  it('is closed for good by a disconnected event that says so, after it', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [
      tick(1),
      steps.frame({
        event: 'disconnected',
        retryMs: 86_400_000,
        data: { reason: 'forced', reconnect: false },
      }),
    ])
    const { source, closed } = sourceOf(`${upstream.url}/s`)
    const reasons: unknown[] = []
    source.addEventListener('disconnected', ({ data }) => reasons.push(JSON.parse(data).reason))
    expect((await closed).message).toBe('The server has ended the stream for good')
    expect(reasons).toEqual(['forced'])
    await upstream.requests[0]?.closed
  })

  it('sends a body once, and resumes what it began', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream
      .route('/start', (_, response) => {
        response.writeHead(200, {
          'content-type': 'text/event-stream',
          'run-id': 'r1',
          location: '/api/runs/r1',
        })
        response.end('id: r1.1\ndata: 1\n\n')
      })
      .script('/api/runs/r1/events', [tick(2), steps.end()], [steps.answer(204)])
    const { source, messages, closed } = sourceOf(`${upstream.url}/start`, { method: 'POST', body: '{}' })
    await closed
    expect(messages).toEqual(['1', '2'])
    expect(upstream.requests.map(({ method, body }) => method + body)).toEqual(['POST{}', 'GET', 'GET'])
    expect(source.url).toBe(`${upstream.url}/start`)
  })

  it('names the origin of what answered', async () => {
    await using upstream = await ScriptedUpstream.start()
    await using other = await ScriptedUpstream.start()
    upstream.script('/s', [steps.redirect(`${other.url}/t`, 307)])
    other.script('/t', [tick(1)])
    const { source } = sourceOf(`${upstream.url}/s`)
    const [{ origin }] = await once(source, 'message')
    source.close()
    expect(origin).toBe(other.url)
  })

  it('resumes when the heartbeats stop that there were', async () => {
    await using upstream = await ScriptedUpstream.start()
    const clock = new FakeClock()
    const heartbeat = steps.frame({ id: '7', event: 'heartbeat', data: { timestamp: 0 } })
    upstream.script('/s', [heartbeat], [steps.answer(204)])
    const { source, errors, closed } = sourceOf(`${upstream.url}/s`, { clock })
    await once(source, 'heartbeat')
    await until(() => clock.timerCount === 1)
    await settled()
    clock.advance(75_000)
    await until(() => errors.length > 0)
    expect(errors[0]?.error?.code).toBe('silent')
    clock.advance(1)
    await closed
    expect(upstream.requests[1]?.headers['last-event-id']).toBe('7')
    expect(clock.timerCount).toBe(0)
  })

  it('leaves no request and no timer behind once it is closed, wherever it stood', async () => {
    await using upstream = await ScriptedUpstream.start()
    const clock = new FakeClock()
    upstream
      .script('/open', [tick(1)])
      .script('/mute', [])
      .script('/busy', [steps.answer(503)])
    const init = { clock, heartbeatMs: 1_000 }
    const open = sourceOf(`${upstream.url}/open`, init)
    const mute = sourceOf(`${upstream.url}/mute`, init)
    const busy = sourceOf(`${upstream.url}/busy`, init)
    await Promise.all([once(open.source, 'message'), upstream.waitForRequest('/mute')])
    await until(() => busy.errors.length > 0)
    for (const { source } of [open, mute, busy]) {
      source.close()
      source.close()
      expect(source.readyState).toBe(EventSource.CLOSED)
    }
    await Promise.all(upstream.requests.map(({ closed }) => closed))
    await until(() => clock.timerCount === 0)
    expect([open.errors, mute.errors, busy.errors.length]).toEqual([[], [], 1])
  })

  it('calls a handler beside the same function as a listener, and only the last handler that was set', async () => {
    await using upstream = await ScriptedUpstream.start()
    const goOn = Promise.withResolvers<void>()
    upstream.script('/s', [tick(1), steps.until(goOn.promise), tick(2)])
    const source = new EventSource(`${upstream.url}/s`)
    const calls: string[] = []
    const second = Promise.withResolvers<void>()
    const note = () => calls.push('note')
    source.addEventListener('message', note)
    source.onmessage = () => calls.push('replaced')
    source.onmessage = note
    expect(source.onmessage).toBe(note)
    source.addEventListener('message', ({ data }) => {
      calls.push(String(data))
      source.onmessage = null
      if (data === '1') goOn.resolve()
      else second.resolve()
    })
    await second.promise
    source.close()
    expect(calls).toEqual(['note', 'note', '1', 'note', '2'])
  })
})
