import { MemoryEventStore } from '@tributary/eventlog/memory'
import { systemClock } from '@tributary/protocol'
import { EventCollector } from '@tributary/testkit'
import { describe, expect, it, vi } from 'vitest'
import { Hub } from '../src/hub.ts'
import type { HubOptions } from '../src/hub-options.ts'
import { startFastify, startWeb } from './servers.ts'

const FRAMEWORKS = [
  { framework: 'Fastify', start: startFastify },
  { framework: 'a Web Response', start: startWeb },
]

/** A store of its own for each test: nothing is shared between them. */
const openHub = (options: Partial<HubOptions> = {}) =>
  Hub.open({ store: new MemoryEventStore({ clock: systemClock }), ...options })

describe.each(FRAMEWORKS)('A hub in $framework', ({ start }) => {
  it('streams to who is connected, with the headers of a stream', async () => {
    await using hub = await openHub()
    await using server = await start(hub)
    await using ann = await EventCollector.open(`${server.url}/stream?user=ann&group=g`)
    expect(ann.status).toBe(200)
    expect(ann.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    })
    await ann.waitFor('connection')
    expect(ann.retries).toEqual([3_000])
    expect(await hub.sendToUser('ann', 'note', { text: 'hé\nllo 🦊' })).toMatchObject({ delivered: 1 })
    expect(await ann.waitFor('note')).toMatchObject({ data: { text: 'hé\nllo 🦊' } })
    await hub.sendToGroup('g', 'tick', 1, { ephemeral: true })
    expect(await ann.waitFor('tick')).not.toHaveProperty('id')
  })

  it.each([
    { carrier: 'the Last-Event-ID header', header: true, query: '' },
    { carrier: '?lastEventId=', header: false, query: '&lastEventId=' },
    { carrier: '?since=', header: false, query: '&since=' },
  ])('resumes from $carrier', async ({ header, query }) => {
    await using hub = await openHub()
    await using server = await start(hub)
    const url = `${server.url}/stream?user=ann`
    const first = await EventCollector.open(url)
    await hub.sendToUser('ann', 'note', 1)
    await first.waitFor('note')
    await first.close()
    await hub.sendToUser('ann', 'note', 2)
    const id = first.lastEventId ?? ''
    await using again = await EventCollector.open(
      query === '' ? url : `${url}${query}${id}`,
      header ? { headers: { 'last-event-id': id } } : {},
    )
    await again.waitFor('note')
    await hub.sendToUser('ann', 'note', 3)
    await again.waitForCount('note', 2)
    expect(again.events.map(({ type, data }) => (type === 'note' ? data : type))).toEqual([
      'connection',
      2,
      3,
    ])
  })

  it('forgets a reader that hangs up', async () => {
    const onClose = vi.fn()
    await using hub = await openHub()
    const connect = hub.connect.bind(hub)
    hub.connect = (options, sink) => connect({ ...options, onClose }, sink)
    await using server = await start(hub)
    const reader = await EventCollector.open(`${server.url}/stream?user=ann`)
    await reader.waitFor('connection')
    expect(hub.local.isConnected('ann')).toBe(true)
    await reader.close()
    await vi.waitFor(() => expect(onClose).toHaveBeenCalledOnce())
    expect(onClose.mock.calls[0]?.[1]).toBe('gone')
    expect(hub.local.status()).toMatchObject({ totalEmitters: 0, totalUsers: 0, totalGroups: 0 })
  })

  it('says why before it ends a stream, and ends it', async () => {
    await using hub = await openHub()
    await using server = await start(hub)
    await using reader = await EventCollector.open(`${server.url}/stream?id=mine`)
    await reader.waitFor('connection')
    hub.local.close('mine', 'enough')
    await reader.ended
    expect(reader.error).toBeUndefined()
    expect(reader.events.at(-1)?.data).toEqual({ reason: 'forced', reconnect: false, message: 'enough' })
  })

  it('refuses with a status and headers of its own', async () => {
    await using hub = await openHub()
    await using server = await start(hub)
    await using first = await EventCollector.open(`${server.url}/stream?id=mine`)
    await first.waitFor('connection')
    await using taken = await EventCollector.open(`${server.url}/stream?id=mine`)
    await using invalid = await EventCollector.open(`${server.url}/stream?lastEventId=nonsense`)
    await Promise.all([taken.ended, invalid.ended])
    expect([taken.status, invalid.status]).toEqual([409, 400])
    for (const { headers, text } of [taken, invalid]) {
      expect(headers['content-type']).toMatch(/json/)
      expect(headers['cache-control']).toBeUndefined()
      expect(JSON.parse(text)).toMatchObject({ code: expect.any(String) })
    }
    await hub.broadcast('note', 1)
    await first.waitFor('note')
  })

  it('answers HEAD with the headers alone', async () => {
    await using hub = await openHub()
    await using server = await start(hub)
    const answer = await fetch(`${server.url}/stream`, { method: 'HEAD' })
    expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(hub.local.count()).toBe(0)
  })

  it('closes with readers connected, who are told to come back', async () => {
    await using hub = await openHub()
    const server = await start(hub)
    await using reader = await EventCollector.open(`${server.url}/stream`)
    await reader.waitFor('connection')
    await server.close()
    await reader.ended
    expect(reader.events.at(-1)?.data).toEqual({ reason: 'drain', reconnect: true })
    expect(hub.local.count()).toBe(0)
  })

  it('answers 204 to who comes back by itself after an end for good, and lets in who comes anew', async () => {
    await using hub = await openHub()
    await using server = await start(hub)
    const url = `${server.url}/stream?id=mine`
    await using reader = await EventCollector.open(url)
    await reader.waitFor('connection')
    hub.local.close('mine')
    await reader.ended
    const id = reader.lastEventId ?? ''
    const comeBack = await fetch(url, { headers: { 'last-event-id': id } })
    expect([comeBack.status, await comeBack.text(), hub.local.count()]).toEqual([204, '', 0])
    await using onPurpose = await EventCollector.open(`${url}&lastEventId=${id}`)
    await onPurpose.waitFor('connection')
    hub.local.close('mine')
    await using anew = await EventCollector.open(url)
    await anew.waitFor('connection')
  })

  it('tells who comes back while it drains to come again, and refuses who is new', async () => {
    await using hub = await openHub()
    await using server = await start(hub)
    await hub.drain(0)
    await using back = await EventCollector.open(`${server.url}/stream`, {
      headers: { 'last-event-id': '5-1' },
    })
    await back.ended
    expect([back.status, back.events]).toMatchObject([
      200,
      [{ id: '5-1', type: 'disconnected', data: { reason: 'busy', reconnect: true } }],
    ])
    expect(back.retries[0]).toBeGreaterThanOrEqual(2_000)
    const anew = await fetch(`${server.url}/stream`)
    expect(anew.status).toBe(503)
    await anew.body?.cancel()
  })

  it('answers polls from the cursors of its streams, waits for them, and ends their waiting when it closes', async () => {
    await using hub = await openHub()
    const server = await start(hub)
    await using reader = await EventCollector.open(`${server.url}/stream?user=ann`)
    await reader.waitFor('connection')
    const poll = async (query: string) => {
      const answer = await fetch(`${server.url}/poll?user=ann${query}`)
      expect(answer.headers.get('cache-control')).toBe('no-store')
      return (await answer.json()) as { events: { data: unknown }[]; cursor: string }
    }
    const waiting = poll(`&since=${reader.lastEventId}&wait=50000`)
    await vi.waitFor(() => expect(hub.stats().waitingPolls).toBe(1))
    await hub.sendToUser('ann', 'e', 1)
    const { events, cursor } = await waiting
    expect(events.map(({ data }) => data)).toEqual([1])
    await reader.waitFor('e')
    expect(cursor).toBe(reader.lastEventId)
    const gone = new AbortController()
    const left = fetch(`${server.url}/poll?since=${cursor}&wait=50000`, { signal: gone.signal })
    await vi.waitFor(() => expect(hub.stats().waitingPolls).toBe(1))
    gone.abort()
    await expect(left).rejects.toThrow()
    await vi.waitFor(() => expect(hub.stats().waitingPolls).toBe(0))
    const last = poll(`&since=${cursor}&wait=50000`)
    await vi.waitFor(() => expect(hub.stats().waitingPolls).toBe(1))
    await Promise.all([server.close(), last])
    expect((await last).events).toEqual([])
  })

  it('replaces where two of the same id come at once: one stays', async () => {
    await using hub = await openHub({ duplicateConnection: 'replace' })
    await using server = await start(hub)
    const readers = await Promise.all(
      Array.from({ length: 8 }, () => EventCollector.open(`${server.url}/stream?id=mine&lastEventId=0`)),
    )
    await vi.waitFor(() => expect(hub.local.count()).toBe(1))
    await hub.broadcast('note', 1)
    await Promise.any(readers.map((reader) => reader.waitFor('note')))
    await hub[Symbol.asyncDispose]()
    await Promise.all(readers.map(({ ended }) => ended))
    const endings = readers.flatMap((reader) => reader.ofType('disconnected'))
    const reasons = endings.map(({ data }) => (data as { reason: string }).reason)
    expect(reasons.sort()).toEqual(['drain', ...Array.from({ length: 7 }, () => 'replaced')])
    expect(readers.flatMap((reader) => reader.ofType('note'))).toHaveLength(1)
  })

  it('closes a slow consumer in bounded memory; it resumes, and its neighbour notices nothing', async () => {
    const OUTBOX_BYTES = 262_144
    const EVENT_BYTES = 100_000
    await using hub = await openHub()
    await using server = await start(hub)
    await using neighbour = await EventCollector.open(`${server.url}/stream?user=ann`)
    await neighbour.waitFor('connection')
    const slow = await EventCollector.open(`${server.url}/stream?user=bob`)
    await slow.waitFor('connection')
    slow.pause()
    let sent = 0
    let mostPending = 0
    while (hub.local.isConnected('bob')) {
      sent += 1
      await hub.broadcast('big', { sent, fill: 'x'.repeat(EVENT_BYTES) })
      await neighbour.waitForCount('big', sent)
      for (const { writableLength } of server.sockets) mostPending = Math.max(mostPending, writableLength)
      expect(sent, 'more than buffers between can hold').toBeLessThan(500)
    }
    expect(mostPending).toBeLessThanOrEqual(OUTBOX_BYTES + EVENT_BYTES)
    slow.resume()
    await slow.ended
    expect(slow.events.at(-1)).toMatchObject({ type: 'disconnected', data: { reason: 'slow_consumer' } })
    expect(neighbour.ofType('disconnected')).toEqual([])

    const cursor = slow.lastEventId ?? ''
    await using again = await EventCollector.open(`${server.url}/stream?user=bob&lastEventId=${cursor}`)
    const had = slow.ofType('big').length
    await again.waitForCount('big', sent - had)
    const numbers = [...slow.ofType('big'), ...again.ofType('big')].map(
      ({ data }) => (data as { sent: number }).sent,
    )
    expect(numbers).toEqual(Array.from({ length: sent }, (_, n) => n + 1))
  })
})

describe('A hub in Fastify', () => {
  it('sends what hooks have set with the stream', async () => {
    await using hub = await openHub()
    await using server = await startFastify(hub)
    await using reader = await EventCollector.open(`${server.url}/stream`)
    expect(reader.headers['x-from']).toBe('a hook')
  })
})
