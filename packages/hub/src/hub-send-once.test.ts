import { describe, expect, it } from 'vitest'
import { openHub } from '../test/hub-under-test.ts'

describe('Hub, sending once', () => {
  it('sends nothing the second time, and answers the id of the first', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const { sink } = await setting.connect({ userId: 'ann' })
    const once = { key: 'k' }
    const first = await hub.sendToUser('ann', 'e', { a: 1, b: [{ c: 2, d: 3 }] }, { once })
    expect(first).toEqual({ success: true, id: expect.any(String), delivered: 1 })
    await hub.broadcast('other', 1)
    const second = await hub.sendToUser('ann', 'e', { b: [{ d: 3, c: 2 }], a: 1 }, { once })
    expect(second).toEqual({ success: true, id: first.id, delivered: 0, replayed: true })
    expect(sink.types).toEqual(['connection', 'e', 'other'])
  })

  it('sends once where the same is asked for several times at once', async () => {
    await using setting = await openHub()
    const { sink } = await setting.connect()
    const sent = await Promise.all(
      Array.from({ length: 10 }, () => setting.hub.broadcast('e', 1, { once: { key: 'k' } })),
    )
    expect(new Set(sent.map(({ id }) => id)).size).toBe(1)
    expect(sent.filter(({ replayed }) => replayed)).toHaveLength(9)
    expect(sink.received).toEqual([1])
  })

  it('hands on an ephemeral event once, too', async () => {
    await using setting = await openHub()
    const { sink } = await setting.connect()
    const send = () => setting.hub.broadcast('e', 1, { ephemeral: true, once: { key: 'k' } })
    expect(await send()).toEqual({ success: true, id: null, delivered: 1 })
    expect(await send()).toEqual({ success: true, id: null, delivered: 0, replayed: true })
    expect(sink.received).toEqual([1])
  })

  it('refuses the same key for anything else', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const once = { key: 'k' }
    await hub.broadcast('e', { a: 1 }, { once })
    const others = [
      () => hub.broadcast('e', { a: 2 }, { once }),
      () => hub.broadcast('f', { a: 1 }, { once }),
      () => hub.sendToUser('ann', 'e', { a: 1 }, { once }),
      () => hub.broadcast('e', { a: 1 }, { once, priority: 'high' }),
      () => hub.broadcast('e', { a: 1 }, { once, metadata: { m: 1 } }),
      () => hub.broadcast('e', { a: 1 }, { once, ephemeral: true }),
      () => hub.broadcast('e', { a: 1 }, { once, where: { plan: 'pro' } }),
      () => hub.broadcast('e', { a: 1 }, { once, source: 'another' }),
    ]
    for (const send of others) {
      await expect(send()).rejects.toMatchObject({ code: 'idempotency_conflict', statusCode: 422 })
    }
    expect(await hub.broadcast('e', { a: 1 }, { once })).toMatchObject({ replayed: true })
  })

  it('keeps the keys of each scope apart', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const send = (key: string, scope: string) =>
      hub.broadcast('e', `${scope} ${key}`, { once: { key, scope } })
    const ids = new Set<string | null>()
    for (const [key, scope] of [
      ['a', 'b'],
      ['b', 'a'],
      ['', 'a'],
      ['ab', ''],
      ['a","b', ''],
    ] as const) {
      if (key !== '') ids.add((await send(key, scope)).id)
    }
    expect(ids.size).toBe(4)
  })

  it('forgets a key after its window', async () => {
    await using setting = await openHub({ idempotencyWindowMs: 1_000 })
    const { hub } = setting
    const send = (windowMs?: number) =>
      hub.broadcast('e', 1, { once: { key: 'k', ...(windowMs === undefined ? {} : { windowMs }) } })
    const first = await send()
    setting.clock.advance(999)
    expect((await send()).id).toBe(first.id)
    setting.clock.advance(1)
    const second = await send(5_000)
    expect(second.id).not.toBe(first.id)
    setting.clock.advance(4_999)
    expect((await send()).id).toBe(second.id)
  })

  it('takes no key for what could not be sent', async () => {
    await using setting = await openHub({ maxEventBytes: 10 })
    const once = { key: 'k' }
    await expect(setting.hub.broadcast('e', 'x'.repeat(20), { once })).rejects.toMatchObject({
      code: 'event_too_large',
    })
    expect(await setting.hub.broadcast('e', 'x', { once })).not.toHaveProperty('replayed')
  })

  it.each(['', 'x'.repeat(257)])('refuses a key of no or too many characters', async (key) => {
    await using setting = await openHub()
    await expect(setting.hub.broadcast('e', 1, { once: { key } })).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })
})
