import { describe, expect, it } from 'vitest'
import { EventCollector, lastingPort, ScriptedUpstream, steps } from './index.ts'

describe('EventCollector over a ScriptedUpstream', () => {
  it('collects ids, types and JSON, and waits for what is still to come', async () => {
    await using upstream = await ScriptedUpstream.start()
    const { promise, resolve } = Promise.withResolvers<void>()
    upstream.script('/events', [
      steps.frame({ id: '1-1', event: 'tick', data: { a: 1 }, retryMs: 5 }),
      steps.until(promise),
      steps.frame({ data: 'no json' }),
      steps.end(),
    ])
    await using reader = await EventCollector.open(`${upstream.url}/events?x=1`, {
      headers: { 'last-event-id': '1-0' },
    })
    expect(await reader.waitFor('tick')).toEqual({ id: '1-1', type: 'tick', data: { a: 1 }, raw: '{"a":1}' })
    resolve()
    expect(await reader.waitFor(({ data }) => data === 'no json')).toMatchObject({ type: 'message' })
    await reader.ended
    expect(reader).toMatchObject({ status: 200, retries: [5], lastEventId: '1-1', error: undefined })
    const request = await upstream.waitForRequest('/events')
    expect(request.headers['last-event-id']).toBe('1-0')
    expect(request.query.get('x')).toBe('1')
    await request.closed
  })

  it('tells a broken stream from a clean end, and rejects who waits in vain', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script(
      '/events',
      [steps.raw('data: half'), steps.destroy()],
      [steps.frame({ data: 'whole' }), steps.end()],
    )
    await using broken = await EventCollector.open(`${upstream.url}/events`)
    await expect(broken.waitFor('message')).rejects.toThrow('the stream ended')
    expect(broken.error).toBeInstanceOf(Error)
    await using whole = await EventCollector.open(`${upstream.url}/events`)
    await whole.waitFor('message')
    await whole.ended
    expect(whole.error).toBeUndefined()
    await expect(whole.waitFor('other')).rejects.toThrow('has ended')
  })

  it('keeps the text of an answer that is no stream, and follows no redirect', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/page', [steps.html(503)]).script('/moved', [steps.redirect('/page')])
    await using page = await EventCollector.open(`${upstream.url}/page`, { body: { sent: true } })
    await page.ended
    expect(page.status).toBe(503)
    expect(page.text).toContain('No stream')
    expect(upstream.requests[0]).toMatchObject({ method: 'POST', body: '{"sent":true}' })
    await using moved = await EventCollector.open(`${upstream.url}/moved`)
    expect([moved.status, moved.headers.location]).toEqual([302, '/page'])
  })

  it('hangs up on close, and the upstream hears of it', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/events', [steps.open()])
    const reader = await EventCollector.open(`${upstream.url}/events`)
    await reader.close()
    await reader.close()
    await (await upstream.waitForRequest('/events')).closed
    expect(reader.error).toBeUndefined()
  })

  it('rejects where nobody answers', async () => {
    await expect(EventCollector.open(`http://127.0.0.1:${await lastingPort()}/`)).rejects.toThrow(
      'ECONNREFUSED',
    )
  })
})
