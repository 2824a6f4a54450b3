import { describe, expect, it, vi } from 'vitest'
import { openHub, settle } from '../test/hub-under-test.ts'
import { MemorySink } from '../test/memory-sink.ts'

const REFUSED = { code: 'user_connection_limit', statusCode: 429, retryable: true, retryAfterS: 10 }
const REPLACED = { reason: 'replaced', reconnect: false }

describe('a hub that keeps each user to so many connections', () => {
  it('refuses a sixth by default, harms none, and takes another when one has ended', async () => {
    await using setting = await openHub()
    const connect = () => setting.connect({ userId: 'ann' })
    const [first] = await Promise.all(Array.from({ length: 5 }, connect))
    await expect(connect()).rejects.toMatchObject({
      ...REFUSED,
      message: expect.stringMatching(/"ann" has 5 .*MAX_CONNECTIONS_PER_USER/),
    })
    await setting.connect({ userId: 'bob' })
    await setting.connect()
    expect(await setting.hub.sendToUser('ann', 'news', 1)).toMatchObject({ delivered: 5 })
    first?.sink.leave()
    await connect()
    await expect(connect()).rejects.toMatchObject(REFUSED)
    expect([setting.hub.local.countForUser('ann'), setting.streams.admitted]).toEqual([5, 7])
  })

  it('counts one that is being opened, and forgets one that could not be', async () => {
    await using setting = await openHub({ maxConnectionsPerUser: 1 })
    const opening = setting.connect({ userId: 'ann', lastEventId: '0' })
    await expect(setting.connect({ userId: 'ann' })).rejects.toMatchObject(REFUSED)
    const { sink } = await opening
    sink.leave()
    const broken = setting.hub.connect({ userId: 'ann' }, () => {
      throw new Error('no answer any more')
    })
    await expect(broken).rejects.toThrow('no answer any more')
    const gone = new MemorySink()
    gone.leave()
    await setting.hub.connect({ userId: 'ann' }, () => gone)
    expect(setting.streams.admitted).toBe(0)
    await setting.connect({ userId: 'ann' })
    expect(setting.streams.admitted).toBe(1)
  })

  it('sets no limit where it is 0', async () => {
    await using setting = await openHub({ maxConnectionsPerUser: 0 })
    for (let n = 0; n < 20; n++) await setting.connect({ userId: 'ann' })
    expect(setting.hub.local.countForUser('ann')).toBe(20)
  })

  it('ends the oldest for the new one where it is told to replace', async () => {
    await using setting = await openHub({ maxConnectionsPerUser: 2, connectionLimitPolicy: 'replace' })
    const connect = () => setting.connect({ userId: 'ann' })
    const [first, second, third] = [await connect(), await connect(), await connect()]
    expect(first.sink.events.at(-1)).toMatchObject({
      type: 'disconnected',
      data: REPLACED,
      id: expect.stringMatching(/\.closed$/),
    })
    expect(second.sink.types).toEqual(['connection'])
    await setting.connect({ userId: 'bob' })
    expect(await setting.hub.sendToUser('ann', 'news', 1)).toMatchObject({ delivered: 2 })
    expect(third.sink.received).toEqual([1])
    expect([setting.hub.local.count(), setting.streams.admitted]).toEqual([3, 3])
  })

  it('replaces also what is still being opened: of many at once the last stay', async () => {
    await using setting = await openHub({ maxConnectionsPerUser: 2, connectionLimitPolicy: 'replace' })
    const onClose = vi.fn()
    const opened = await Promise.all(
      Array.from({ length: 6 }, () => setting.connect({ userId: 'ann', lastEventId: '0', onClose })),
    )
    const ends = opened.map(({ sink }) => sink.events.find(({ type }) => type === 'disconnected')?.data)
    expect(ends).toEqual([REPLACED, REPLACED, REPLACED, REPLACED, undefined, undefined])
    await settle()
    expect(onClose).toHaveBeenCalledTimes(4)
    expect([setting.hub.local.countForUser('ann'), setting.streams.admitted]).toEqual([2, 2])
  })

  it('counts a connection that takes the id of another once, and ends no third for it', async () => {
    await using setting = await openHub({
      maxConnectionsPerUser: 2,
      connectionLimitPolicy: 'replace',
      duplicateConnection: 'replace',
      streams: { maxStreams: 2, maxStreamsPerAddress: 2 },
    })
    const connect = (connectionId: string) =>
      setting.connect({ userId: 'ann', connectionId, address: '192.0.2.1' })
    const [a, b] = [await connect('a'), await connect('b')]
    const again = await connect('b')
    expect(a.sink.types).toEqual(['connection'])
    expect(b.sink.events.at(-1)?.data).toEqual(REPLACED)
    await connect('c')
    expect(a.sink.events.at(-1)?.data).toEqual(REPLACED)
    expect(again.sink.types).toEqual(['connection'])
    expect([setting.hub.local.count(), setting.streams.admitted]).toEqual([2, 2])
  })

  it('ends nobody for one that is refused after all', async () => {
    await using setting = await openHub({
      maxConnectionsPerUser: 1,
      connectionLimitPolicy: 'replace',
      streams: { maxStreamsPerAddress: 1 },
    })
    const { sink } = await setting.connect({ userId: 'ann', address: '192.0.2.1' })
    await setting.connect({ userId: 'bob', address: '192.0.2.2' })
    const elsewhere = setting.connect({ userId: 'ann', address: '192.0.2.2' })
    await expect(elsewhere).rejects.toMatchObject({ code: 'address_connection_limit', retryAfterS: 10 })
    expect(sink.types).toEqual(['connection'])
    await setting.connect({ userId: 'ann', address: '192.0.2.1' })
    expect(sink.types).toEqual(['connection', 'disconnected'])
  })
})
