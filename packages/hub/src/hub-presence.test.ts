import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SqliteEventStore } from '@tributary/eventlog/sqlite'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openHub, settle } from '../test/hub-under-test.ts'
import type { MemorySink } from '../test/memory-sink.ts'

const GRACE_MS = 10_000

/** What a reader was told of who comes and goes, but of the watcher himself: his own join may be before his stream. */
const changesIn = (sink: MemorySink) =>
  sink.events.flatMap(({ type, data }) => {
    if (!type.startsWith('presence_') || typeof data !== 'object' || data === null) return []
    return 'userId' in data && data.userId !== 'watcher' ? [{ type, ...data, userId: data.userId }] : []
  })
const toldTo = (sink: MemorySink) => changesIn(sink).map(({ type, userId }) => `${type} ${userId}`)

describe('Hub, presence', () => {
  it('tells who asked, and is in the group, of each user once, whatever his tabs', async () => {
    await using setting = await openHub()
    const { sink } = await setting.connect({ userId: 'watcher', groups: ['g'], presence: true })
    const elsewhere = await setting.connect({ userId: 'watcher', groups: ['h'], presence: true })
    const quiet = await setting.connect({ userId: 'quiet', groups: ['g'] })
    const first = await setting.connect({ userId: 'ann', groups: ['g'] })
    const second = await setting.connect({ userId: 'ann', groups: ['g'] })
    first.sink.leave()
    second.sink.leave()
    await settle()
    setting.clock.advance(GRACE_MS)
    await settle()
    await settle()
    expect(toldTo(sink)).toEqual(['presence_join quiet', 'presence_join ann', 'presence_leave ann'])
    const [, joined, left] = changesIn(sink)
    expect(joined).toMatchObject({ group: 'g', since: expect.any(Number), stayId: expect.any(String) })
    expect(left).toMatchObject({ stayId: joined && 'stayId' in joined ? joined.stayId : '' })
    expect(toldTo(elsewhere.sink)).toEqual([])
    expect(toldTo(quiet.sink)).toEqual([])
  })

  it('tells an observer that somebody is there before it tells him into which groups he came', async () => {
    const told: string[] = []
    const slow = Promise.withResolvers<void>()
    const observer = {
      wantsPresence: true,
      connected: async ({ connectionId }: { connectionId: string }) => {
        if (connectionId === 'slow') await slow.promise
        told.push(`connect ${connectionId}`)
        if (connectionId === 'unknown') throw new Error('it cannot be told')
      },
      disconnected: async () => undefined,
      announced: async ({ kind, userId }: { kind: string; userId: string }) =>
        void told.push(`${kind} ${userId}`),
    }
    await using setting = await openHub({ observer })
    await setting.connect({ connectionId: 'slow', userId: 'ann', groups: ['g'] })
    await setting.connect({ connectionId: 'unknown', userId: 'bob', groups: ['g'] })
    await settle()
    expect(told).toEqual(['connect unknown', 'join bob'])
    slow.resolve()
    await settle()
    expect(told).toEqual(['connect unknown', 'join bob', 'connect slow', 'join ann'])
  })

  it('tells nothing of who is back in time, as after a rotation', async () => {
    await using setting = await openHub()
    const { sink } = await setting.connect({ userId: 'watcher', groups: ['g'], presence: true })
    for (let round = 0; round < 5; round++) {
      const { sink: tab } = await setting.connect({ userId: 'ann', groups: ['g'] })
      tab.leave()
      await settle()
      setting.clock.advance(GRACE_MS - 1)
      await settle()
    }
    expect(toldTo(sink)).toEqual(['presence_join ann'])
  })

  it('lists who is there, and a stream from its cursor misses nothing since', async () => {
    await using setting = await openHub({ presenceMetadata: ['name'] })
    await setting.connect({ userId: 'ann', groups: ['g'], metadata: { name: 'Ann', secret: 1 } })
    await setting.connect({ userId: 'bob', groups: ['g'] })
    const first = await setting.hub.presenceOfGroup('g', { limit: 1 })
    expect(first).toMatchObject({
      groupId: 'g',
      userCount: 2,
      users: [{ userId: 'ann', connectionCount: 1, metadata: { name: 'Ann' } }],
      next: 'ann',
    })
    const second = await setting.hub.presenceOfGroup('g', { limit: 1, after: 'ann' })
    expect(second.users.map(({ userId }) => userId)).toEqual(['bob'])
    expect(second.next).toBeUndefined()
    await setting.connect({ userId: 'cat', groups: ['g'] })
    await settle()
    const { sink } = await setting.connect({
      userId: 'watcher',
      groups: ['g'],
      presence: true,
      lastEventId: first.cursor,
    })
    await settle()
    expect(toldTo(sink)).toEqual(['presence_join cat'])
  })

  it('answers of one user whether he is there, since when and in which groups', async () => {
    await using setting = await openHub()
    const since = setting.clock.now()
    await setting.connect({ userId: 'ann', groups: ['g'] })
    setting.clock.advance(1_000)
    const { sink } = await setting.connect({ userId: 'ann', groups: ['h'] })
    expect(await setting.hub.presenceOfUser('ann')).toEqual({
      userId: 'ann',
      online: true,
      since,
      connectionCount: 2,
      groups: ['g', 'h'],
    })
    sink.leave()
    expect(await setting.hub.presenceOfUser('bob')).toMatchObject({ online: false, connectionCount: 0 })
  })

  it('follows who joins and leaves on the open stream', async () => {
    await using setting = await openHub()
    const watcher = await setting.connect({ userId: 'watcher', groups: ['g'], presence: true })
    const { connection } = await setting.connect({ connectionId: 'a', userId: 'ann' })
    await setting.hub.addToGroup('a', 'g')
    await settle()
    await setting.hub.removeFromGroup('a', 'g')
    setting.clock.advance(GRACE_MS)
    await settle()
    await setting.hub.addToGroup(watcher.connection.connectionId, 'late')
    await setting.hub.addToGroup(connection.connectionId, 'late')
    await settle()
    await settle()
    expect(changesIn(watcher.sink)).toMatchObject([
      { type: 'presence_join', userId: 'ann', group: 'g' },
      { type: 'presence_leave', userId: 'ann', group: 'g' },
      { type: 'presence_join', userId: 'ann', group: 'late' },
    ])
  })

  it('lets nobody else say who comes and goes', async () => {
    await using setting = await openHub()
    for (const type of ['presence_join', 'presence_leave']) {
      await expect(setting.hub.sendToGroup('g', type, { userId: 'ann' })).rejects.toMatchObject({
        code: 'invalid_request',
      })
    }
  })

  it('appends nothing for groups that nobody watches', async () => {
    await using setting = await openHub()
    const before = await setting.hub.broadcast('e', 1)
    const { sink } = await setting.connect({ userId: 'ann', groups: ['g'] })
    sink.leave()
    setting.clock.advance(GRACE_MS)
    await settle()
    const after = await setting.hub.broadcast('e', 2)
    const numberOf = (id: string | null) => Number(id?.split('-')[1])
    expect(numberOf(after.id)).toBe(numberOf(before.id) + 1)
  })

  it('tells after a restart who has not come back, and nothing of who has', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-presence-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const clock = new FakeClock()
    const openStore = () => SqliteEventStore.open({ path: join(folder, 'hub.db'), clock })
    let cursor = ''
    let stayed: unknown
    {
      await using store = await openStore()
      const setting = await openHub({ store, clock })
      const { sink } = await setting.connect({ userId: 'watcher', groups: ['g'], presence: true })
      await setting.connect({ userId: 'ann', groups: ['g'] })
      await setting.connect({ userId: 'bob', groups: ['g'] })
      await expect.poll(() => toldTo(sink).toSorted()).toEqual(['presence_join ann', 'presence_join bob'])
      const { users, cursor: head } = await setting.hub.presenceOfGroup('g', { limit: 10 })
      stayed = users.find(({ userId }) => userId === 'bob')
      cursor = head
      await setting.hub[Symbol.asyncDispose]()
    }
    await using store = await openStore()
    await using setting = await openHub({ store, clock })
    const { sink } = await setting.connect({
      userId: 'watcher',
      groups: ['g'],
      presence: true,
      lastEventId: cursor,
    })
    await setting.connect({ userId: 'bob', groups: ['g'] })
    clock.advance(GRACE_MS)
    await expect.poll(() => toldTo(sink)).toEqual(['presence_leave ann'])
    const { users } = await setting.hub.presenceOfGroup('g', { limit: 10 })
    expect(users.find(({ userId }) => userId === 'bob')).toEqual(stayed)
  })
})
