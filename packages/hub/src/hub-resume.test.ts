import { describe, expect, it } from 'vitest'
import { openHub, settle } from '../test/hub-under-test.ts'

describe('Hub, resuming', () => {
  it('goes on exactly after the cursor, in order, then live', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const first = await setting.connect({ userId: 'ann', groups: ['g'] })
    await hub.sendToUser('ann', 'e', 1)
    await hub.broadcast('e', 2)
    const cursor = first.sink.lastEventId ?? ''
    first.sink.leave()
    await hub.sendToUser('ann', 'e', 3)
    await hub.sendToUser('bob', 'e', 'for another')
    await hub.sendToGroup('g', 'e', 4)
    const again = await setting.connect({ userId: 'ann', groups: ['g'], lastEventId: cursor })
    await settle()
    await hub.broadcast('e', 5)
    expect(again.sink.events[0]).toMatchObject({ id: cursor, data: { resumed: true } })
    expect(again.sink.received).toEqual([3, 4, 5])
  })

  it('resumes from the greeting alone, where nothing had come yet', async () => {
    await using setting = await openHub()
    await setting.hub.broadcast('e', 'before')
    const first = await setting.connect()
    first.sink.leave()
    await setting.hub.broadcast('e', 'missed')
    const again = await setting.connect({ lastEventId: first.sink.lastEventId ?? '' })
    await settle()
    expect(again.sink.received).toEqual(['missed'])
  })

  it('says what is lost: `connection` without an id, then `gap`, then what is kept', async () => {
    await using setting = await openHub({ historyMaxEvents: 3 })
    const { hub } = setting
    const first = await setting.connect()
    for (let n = 1; n <= 5; n++) await hub.broadcast('e', n)
    const again = await setting.connect({ lastEventId: first.sink.events[0]?.id ?? '' })
    await settle()
    expect(again.sink.types).toEqual(['connection', 'gap', 'e', 'e', 'e'])
    expect(again.sink.events[0]).not.toHaveProperty('id')
    expect(again.sink.events[1]).toMatchObject({ data: { reason: 'expired' } })
    expect(again.sink.received).toEqual([3, 4, 5])
  })

  it('lets in whom a caller lets go on after an end for good', async () => {
    await using setting = await openHub()
    const { sink, connection } = await setting.connect()
    setting.hub.local.close(connection.connectionId)
    expect(sink.lastEventId).toMatch(/^\d+-0\.closed$/)
    await setting.hub.broadcast('e', 1)
    const again = await setting.connect({ lastEventId: sink.lastEventId ?? '' })
    await settle()
    expect(again.sink.received).toEqual([1])
  })

  it('keeps what is for a user longer than the rest', async () => {
    await using setting = await openHub({ historyMaxAgeMs: 1_000, historyUserMaxAgeMs: 10_000 })
    const first = await setting.connect({ userId: 'ann' })
    const cursor = first.sink.lastEventId ?? ''
    first.sink.leave()
    await setting.hub.sendToUser('ann', 'e', 'for ann')
    await setting.hub.sendToGroup('g', 'e', 'for others')
    setting.clock.advance(5_000)
    await setting.store.trim()
    const again = await setting.connect({ userId: 'ann', lastEventId: cursor })
    await settle()
    expect(again.sink.types).toEqual(['connection', 'e'])
    setting.clock.advance(10_000)
    await setting.store.trim()
    const late = await setting.connect({ userId: 'ann', lastEventId: cursor })
    await settle()
    expect(late.sink.types).toEqual(['connection', 'gap'])
  })
})

describe('Hub, a slow consumer', () => {
  it('is closed past its bound, can resume, and its neighbours notice nothing', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 300 } })
    const { hub } = setting
    const slow = await setting.connect()
    const neighbour = await setting.connect()
    slow.sink.pause()
    for (let n = 1; n <= 30; n++) await hub.broadcast('e', n)
    expect(slow.sink.events.at(-1)?.data).toEqual({ reason: 'slow_consumer', reconnect: true })
    expect(slow.sink.pendingBytes).toBeLessThan(500)
    expect(neighbour.sink.received).toHaveLength(30)
    const got = slow.sink.received.length
    const again = await setting.connect({ lastEventId: slow.sink.lastEventId ?? '' })
    await settle()
    expect([...slow.sink.received, ...again.sink.received]).toEqual(neighbour.sink.received)
    expect(got).toBeGreaterThan(0)
  })

  it('takes any one event that is allowed while nothing waits', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 10 } })
    const { sink } = await setting.connect()
    sink.pause()
    await setting.hub.broadcast('e', 'x'.repeat(1_000))
    expect(sink.received).toHaveLength(1)
    expect(sink.closed).toBe(false)
  })

  it('is given a place of the log for a time that is still to come, and misses nothing from there', async () => {
    await using setting = await openHub()
    await setting.hub.broadcast('e', 'before')
    const first = await setting.connect({ lastEventId: String(setting.clock.now() + 3_000) })
    first.sink.leave()
    await setting.hub.broadcast('e', 'missed')
    setting.clock.advance(10_000)
    const again = await setting.connect({ lastEventId: first.sink.lastEventId ?? '' })
    await settle()
    expect(again.sink.received).toEqual(['missed'])
  })

  it('is told of what went for want of room, whatever its topic', async () => {
    await using setting = await openHub({ historyMaxBytes: 4_000 })
    const { hub } = setting
    const first = await setting.connect({ userId: 'ann' })
    for (let n = 0; n < 10; n++) await hub.sendToUser(n < 5 ? 'ann' : 'bob', 'e', 'x'.repeat(1_000))
    const again = await setting.connect({ userId: 'ann', lastEventId: first.sink.events[0]?.id ?? '' })
    await settle()
    expect(again.sink.types).toEqual(['connection', 'gap'])
    expect(again.sink.events[1]?.data).toMatchObject({ reason: 'expired' })
  })

  it('goes without what is of low priority, is told so, and stays', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 100 } })
    const { hub } = setting
    const { sink } = await setting.connect()
    sink.pause()
    await hub.broadcast('e', 'x'.repeat(90))
    expect(await hub.broadcast('e', 'kept', { priority: 'low' })).toMatchObject({ delivered: 0 })
    await hub.broadcast('e', 'not kept', { priority: 'low', ephemeral: true })
    expect(hub.stats()).toMatchObject({ activeConnections: 1, eventsDropped: 2 })
    sink.resume()
    await hub.broadcast('e', 'last')
    expect(sink.types).toEqual(['connection', 'e', 'gap', 'e'])
    hub.local.closeAll()
    expect(hub.stats()).toMatchObject({ eventsDropped: 2 })
  })

  it('is closed by an ephemeral event too', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 100 } })
    const { sink } = await setting.connect()
    sink.pause()
    expect(await setting.hub.broadcast('e', 'x'.repeat(90), { ephemeral: true })).toMatchObject({
      delivered: 1,
    })
    expect(await setting.hub.broadcast('e', 1, { ephemeral: true })).toMatchObject({ delivered: 0 })
    expect(sink.events.at(-1)?.data).toMatchObject({ reason: 'slow_consumer' })
  })
})
