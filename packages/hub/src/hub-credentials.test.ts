import type { RevocationCheck } from '@tributary/sse'
import { describe, expect, it } from 'vitest'
import { openHub, settle } from '../test/hub-under-test.ts'
import type { MemorySink } from '../test/memory-sink.ts'

const HOUR_MS = 3_600_000
/** Streams last longer than the credentials here. */
const LONG = { timeoutMs: 100 * HOUR_MS, maxTimeoutMs: 100 * HOUR_MS, streams: { heartbeatMs: 30_000 } }

const expiring = ({ events }: MemorySink) =>
  events.filter(({ type }) => type === 'auth_expiring').map(({ data }) => data)
const ended = ({ events }: MemorySink) =>
  events.filter(({ type }) => type === 'disconnected').map(({ data }) => data)
const EXPIRED = { reason: 'token_expired', reconnect: true }

describe('Hub, the credential of a connection', () => {
  it('says a minute before that it ends, and ends with it, to be resumed', async () => {
    await using setting = await openHub(LONG)
    const expiresAt = setting.clock.now() + HOUR_MS
    const { connection, sink } = await setting.connect({ credential: { expiresAt } })
    expect(connection.view().expiresAt).toBe(expiresAt)
    setting.clock.advance(HOUR_MS - 60_000)
    expect(expiring(sink)).toEqual([])
    setting.clock.advance(200)
    expect(expiring(sink)).toEqual([{ expiresAt }])
    const { id } = await setting.hub.broadcast('news', 1)
    setting.clock.advance(59_800)
    expect(ended(sink)).toEqual([])
    setting.clock.advance(200)
    expect([expiring(sink), ended(sink)]).toEqual([[{ expiresAt }], [EXPIRED]])
    expect(sink.lastEventId).toBe(id)
    expect(sink.retries).toEqual([3_000])
    expect(setting.hub.local.count()).toBe(0)
  })

  it('is told a tenth ahead where it is short, and at once ended where it is over', async () => {
    await using setting = await openHub(LONG)
    const now = setting.clock.now()
    const short = await setting.connect({ credential: { expiresAt: now + 10_000 } })
    const over = await setting.connect({ credential: { expiresAt: now - 1 } })
    setting.clock.advance(100)
    expect(ended(over.sink)).toEqual([EXPIRED])
    setting.clock.advance(8_800)
    expect(expiring(short.sink)).toEqual([])
    setting.clock.advance(200)
    expect([expiring(short.sink), ended(short.sink)]).toEqual([[{ expiresAt: now + 10_000 }], []])
    setting.clock.advance(1_000)
    expect(ended(short.sink)).toEqual([EXPIRED])
  })

  it('without an end has none, and beats as ever', async () => {
    await using setting = await openHub(LONG)
    const { sink } = await setting.connect({ credential: { tokenId: 't' } })
    setting.clock.advance(HOUR_MS)
    expect(sink.types).toEqual(['connection', ...Array<string>(119).fill('heartbeat')])
  })

  it('goes by the wall clock: set forward it is over at the next heartbeat, set back it lasts', async () => {
    await using setting = await openHub(LONG)
    const { clock } = setting
    const first = await setting.connect({ credential: { expiresAt: clock.now() + HOUR_MS } })
    const second = await setting.connect({ credential: { expiresAt: clock.now() + 4 * HOUR_MS } })
    clock.jumpTo(clock.now() + 2 * HOUR_MS)
    clock.advance(30_100)
    expect([ended(first.sink), ended(second.sink)]).toEqual([[EXPIRED], []])
    clock.jumpTo(clock.now() - 2 * HOUR_MS)
    clock.advance(3 * HOUR_MS)
    expect([expiring(second.sink), ended(second.sink)]).toEqual([[], []])
    clock.advance(HOUR_MS)
    expect(ended(second.sink)).toEqual([EXPIRED])
  })

  it('is told to a reader without room as soon as he has some, and ends him all the same', async () => {
    await using setting = await openHub({ ...LONG, streams: { heartbeatMs: 5_000, outboxMaxBytes: 10 } })
    const { sink } = await setting.connect({ credential: { expiresAt: setting.clock.now() + HOUR_MS } })
    sink.pause()
    await setting.hub.broadcast('news', 'more than there is room for')
    setting.clock.advance(HOUR_MS - 30_000)
    expect(expiring(sink)).toEqual([])
    sink.resume()
    setting.clock.advance(5_000)
    expect(expiring(sink)).toHaveLength(1)
    sink.pause()
    setting.clock.advance(25_100)
    expect([expiring(sink).length, ended(sink)]).toEqual([1, [EXPIRED]])
    expect(setting.hub.local.count()).toBe(0)
  })
})

describe('Hub, refreshing a connection', () => {
  it('moves its end, and warns of the new one', async () => {
    await using setting = await openHub(LONG)
    const { clock, hub } = setting
    const start = clock.now()
    const { sink } = await setting.connect({ connectionId: 'c', credential: { expiresAt: start + HOUR_MS } })
    clock.advance(HOUR_MS - 30_000)
    for (const hours of [2, 3]) await hub.refresh('c', { credential: { expiresAt: start + hours * HOUR_MS } })
    clock.advance(2 * HOUR_MS - 60_000)
    expect(ended(sink)).toEqual([])
    clock.advance(90_100)
    expect(expiring(sink)).toEqual([1, 3].map((hours) => ({ expiresAt: start + hours * HOUR_MS })))
    expect(ended(sink)).toEqual([EXPIRED])
    expect(clock.timerCount).toBe(1)
  })

  it('gives it the new roles and metadata at once, and takes the old ones', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const { connection, sink } = await setting.connect({
      connectionId: 'c',
      roles: ['ops', 'dev'],
      metadata: { plan: 'free', beta: true },
    })
    expect(await hub.refresh('c', { roles: ['dev', 'sales'], metadata: { plan: 'pro' } })).toBe(true)
    for (const role of ['ops', 'dev', 'sales']) await hub.publish({ roles: [role] }, 'e', role)
    await hub.sendFiltered({ beta: true }, 'e', 'beta')
    await hub.sendFiltered({ plan: 'pro' }, 'e', 'pro')
    expect(sink.received).toEqual(['dev', 'sales', 'pro'])
    expect(connection.view()).toMatchObject({ roles: ['dev', 'sales'], metadata: { plan: 'pro' } })
  })

  it('leaves the groups that it may not be in, and stays in the others without a gap', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const { connection, sink } = await setting.connect({ connectionId: 'c', groups: ['a', 'b'] })
    await hub.addToGroup('c', 'c')
    await hub.refresh('c', { mayJoin: (group) => group !== 'b' })
    for (const group of ['a', 'b', 'c']) await hub.sendToGroup(group, 'e', group)
    expect(sink.received).toEqual(['a', 'c'])
    expect([...connection.groups]).toEqual(['a', 'c'])
    expect(hub.local.status().emittersByGroup).toEqual({ a: 1, c: 1 })
  })

  it('counts in the midst of a replay: what it may no longer have is not sent', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 200 } })
    const { hub } = setting
    for (let n = 0; n < 20; n++) await hub.sendToGroup(n % 2 === 0 ? 'a' : 'b', 'e', `${n} ${'x'.repeat(50)}`)
    const opening = setting.connect({ connectionId: 'c', groups: ['a', 'b'], lastEventId: '0' })
    const { sink } = await opening
    sink.pause()
    await settle()
    const before = sink.received.length
    expect(before).toBeLessThan(20)
    await hub.refresh('c', { mayJoin: (group) => group === 'a' })
    for (let n = 0; n < 30; n++) {
      sink.resume()
      await settle()
    }
    const numbers = sink.received.map((text) => Number.parseInt(String(text), 10))
    expect(numbers.slice(before).every((n) => n % 2 === 0)).toBe(true)
    expect(numbers.at(-1)).toBe(18)
  })

  it('counts for one that is still being opened', async () => {
    await using setting = await openHub(LONG)
    const { clock, hub } = setting
    const expiresAt = clock.now() + HOUR_MS
    const opening = setting.connect({ connectionId: 'c', lastEventId: '0', credential: { expiresAt } })
    await hub.refresh('c', { roles: ['ops'], credential: { expiresAt: expiresAt + HOUR_MS } })
    const { sink } = await opening
    clock.advance(HOUR_MS + 60_000)
    await hub.publish({ roles: ['ops'] }, 'e', 1)
    expect([sink.received, ended(sink)]).toEqual([[1], []])
    clock.advance(HOUR_MS)
    expect(ended(sink)).toEqual([EXPIRED])
  })

  it('keeps the order in which a user’s connections came', async () => {
    await using setting = await openHub({ maxConnectionsPerUser: 2, connectionLimitPolicy: 'replace' })
    const first = await setting.connect({ connectionId: '1', userId: 'ann' })
    await setting.connect({ connectionId: '2', userId: 'ann' })
    await setting.hub.refresh('1', { roles: ['ops'] })
    await setting.connect({ connectionId: '3', userId: 'ann' })
    expect(ended(first.sink)).toEqual([{ reason: 'replaced', reconnect: false }])
  })

  it('is too late once it has ended', async () => {
    await using setting = await openHub(LONG)
    const { clock, hub } = setting
    const { connection, sink } = await setting.connect({
      connectionId: 'c',
      credential: { expiresAt: clock.now() + 1_000 },
    })
    clock.advance(1_100)
    expect(await hub.refresh('c', { credential: { expiresAt: clock.now() + HOUR_MS } })).toBe(false)
    expect(await hub.refresh('nobody', {})).toBe(false)
    clock.advance(HOUR_MS)
    expect([ended(sink), connection.state]).toEqual([[EXPIRED], 'disconnecting'])
  })
})

describe('Hub, closing by whose it is', () => {
  it('ends the connections of a user, or of a token, for good', async () => {
    await using setting = await openHub()
    const ann = await setting.connect({ userId: 'ann', credential: { tokenId: 't1' } })
    const other = await setting.connect({ userId: 'ann', connectionId: 'c' })
    const bob = await setting.connect({ userId: 'bob', credential: { tokenId: 't2' } })
    expect(setting.hub.local.closeToken('t1', 'it leaked')).toBe(1)
    expect(ended(ann.sink)).toEqual([{ reason: 'forced', reconnect: false, message: 'it leaked' }])
    await setting.hub.refresh('c', { credential: { tokenId: 't3' } })
    expect([setting.hub.local.closeToken('t1'), setting.hub.local.closeToken('t3')]).toEqual([0, 1])
    expect(setting.hub.local.closeUser('ann')).toBe(0)
    expect(setting.hub.local.closeUser('bob')).toBe(1)
    expect([ended(other.sink), ended(bob.sink)]).toEqual(
      Array(2).fill([{ reason: 'forced', reconnect: false }]),
    )
  })
})

describe('Hub, revoked credentials', () => {
  /** A hub of whose tokens some are revoked. */
  async function revoking() {
    const revoked = new Set<string>()
    const isRevoked: RevocationCheck = ({ tokenId = '' }) => revoked.has(tokenId)
    const setting = await openHub({ ...LONG, streams: { isRevoked, outboxMaxBytes: 200 } })
    const revoke = (tokenId: string) => {
      revoked.add(tokenId)
      return setting.streams.endRevoked()
    }
    return { ...setting, revoke }
  }
  const REVOKED = [{ reason: 'forced', reconnect: false, message: 'The token was revoked' }]

  it('end their streams at once, also in the midst of a replay, and no others', async () => {
    await using setting = await revoking()
    const { hub } = setting
    for (let n = 0; n < 10; n++) await hub.broadcast('e', 'x'.repeat(100))
    const live = await setting.connect({ credential: { tokenId: 't1' } })
    const replaying = await setting.connect({ lastEventId: '0', credential: { tokenId: 't1' } })
    replaying.sink.pause()
    await settle()
    const other = await setting.connect({ credential: { tokenId: 't2' } })
    const nobodys = await setting.connect({})
    expect(setting.revoke('t1')).toBe(2)
    const before = replaying.sink.received.length
    replaying.sink.resume()
    await hub.broadcast('e', 'later')
    await settle()
    expect([ended(live.sink), ended(replaying.sink)]).toEqual([REVOKED, REVOKED])
    expect(replaying.sink.received.length).toBe(before)
    expect(live.sink.received).toEqual([])
    expect([other.sink.received, nobodys.sink.received]).toEqual([['later'], ['later']])
    expect(hub.local.count()).toBe(2)
    expect(setting.revoke('t1')).toBe(0)
  })

  it('end one that is still being opened, and one that is refreshed with such', async () => {
    await using setting = await revoking()
    const opening = setting.connect({ lastEventId: '0', credential: { tokenId: 't1' } })
    expect(setting.revoke('t1')).toBe(0)
    expect(ended((await opening).sink)).toEqual(REVOKED)
    const { sink } = await setting.connect({ connectionId: 'c' })
    await setting.hub.refresh('c', { credential: { tokenId: 't1' } })
    expect(ended(sink)).toEqual(REVOKED)
    expect(setting.hub.local.count()).toBe(0)
  })

  it('end polls that wait with a refusal, and let no poll outlast its credential', async () => {
    await using setting = await revoking()
    const { clock, hub } = setting
    const wait = (credential: { tokenId: string; expiresAt?: number }) =>
      hub.poll({ lastEventId: '0', waitMs: 30_000, credential })
    const revoked = wait({ tokenId: 't1' })
    const short = wait({ tokenId: 't2', expiresAt: clock.now() + 5_000 })
    await settle()
    setting.revoke('t1')
    await expect(revoked).rejects.toMatchObject({ code: 'token_revoked', statusCode: 401 })
    await expect(wait({ tokenId: 't1' })).rejects.toMatchObject({ code: 'token_revoked' })
    clock.advance(5_100)
    expect((await short).events).toEqual([])
    expect(hub.stats().waitingPolls).toBe(0)
  })
})
