import { describe, expect, it } from 'vitest'
import { openHub, settle } from '../test/hub-under-test.ts'

const said = ({ events }: { events: readonly { data: unknown }[] }) => events.map(({ data }) => data)

describe('Hub, polling', () => {
  it('gives who polls what a stream of the same would, from the same cursors', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const who = { userId: 'ann', groups: ['g'], sessionId: 's', roles: ['r'], metadata: { plan: 'pro' } }
    const { cursor: head } = await hub.poll(who)
    const { sink } = await setting.connect(who)
    expect(sink.lastEventId).toBe(head)
    await hub.sendToUser('ann', 'e', 1)
    await hub.sendToUser('bob', 'e', 'for another')
    const between = await hub.sendToGroup('g', 'e', 2)
    await hub.sendToSession('s', 'e', 3)
    await hub.publish({ roles: ['r'] }, 'e', 4)
    await hub.sendFiltered({ plan: 'pro' }, 'e', 5)
    await hub.sendFiltered({ plan: 'free' }, 'e', 'for another')
    await hub.broadcast('e', 'not kept', { ephemeral: true })
    const page = await hub.poll({ ...who, lastEventId: head })
    expect(said(page)).toEqual([1, 2, 3, 4, 5])
    expect(said(await hub.poll({ ...who, lastEventId: between.id ?? '' }))).toEqual([3, 4, 5])
    expect(said(await hub.poll({ ...who, lastEventId: '0', events: ['none'] }))).toEqual([])
    await hub.sendToUser('bob', 'e', 'for another')
    const after = await hub.poll({ ...who, lastEventId: page.cursor })
    const again = await setting.connect({ ...who, lastEventId: after.cursor })
    await settle()
    await hub.sendToUser('ann', 'e', 6)
    expect([said(after), again.sink.received]).toEqual([[], [6]])
    expect(sink.received).toEqual([1, 2, 3, 4, 5, 'not kept', 6])
  })

  it('waits for the next event that is for it, and troubles nobody else', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const { cursor: lastEventId } = await hub.poll({})
    const wait = (userId: string) => hub.poll({ userId, lastEventId, waitMs: 50_000 })
    const [ann, bob] = [wait('ann'), wait('bob')]
    await settle()
    expect(hub.stats()).toMatchObject({ waitingPolls: 2, activeConnections: 0 })
    await hub.sendToUser('ann', 'e', 1)
    expect(said(await ann)).toEqual([1])
    expect(hub.stats()).toMatchObject({ waitingPolls: 1 })
    setting.clock.advance(51_000)
    const { cursor } = await bob
    expect(said(await hub.poll({ userId: 'ann', lastEventId: cursor }))).toEqual([])
    expect(setting.clock.timerCount).toBe(1)
  })

  it('holds ten thousand that wait, and answers them all', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const { cursor: lastEventId } = await hub.poll({})
    const polls = Array.from({ length: 10_000 }, (_, n) =>
      hub.poll({ userId: `u${n}`, lastEventId, waitMs: 50_000 }),
    )
    await settle()
    expect(hub.stats().waitingPolls).toBe(10_000)
    await hub.sendToUser('u1', 'e', 'one')
    await settle()
    expect(hub.stats().waitingPolls).toBe(9_999)
    await hub.broadcast('e', 'all')
    const answers = await Promise.all(polls)
    expect(answers.map(said).filter(([first]) => first === 'all')).toHaveLength(9_999)
    expect(hub.stats().waitingPolls).toBe(0)
  })

  it('refuses more that wait than it was told', async () => {
    await using setting = await openHub({ maxWaitingPolls: 1 })
    const { hub } = setting
    const { cursor: lastEventId } = await hub.poll({})
    const first = hub.poll({ lastEventId, waitMs: 50_000 })
    await settle()
    await expect(hub.poll({ lastEventId, waitMs: 50_000 })).rejects.toMatchObject({ code: 'overloaded' })
    await hub.broadcast('e', 1)
    expect(said(await first)).toEqual([1])
  })

  it('refuses a cursor that is none of its own', async () => {
    await using setting = await openHub()
    await expect(setting.hub.poll({ lastEventId: 'run_1.5-3' })).rejects.toMatchObject({
      code: 'invalid_cursor',
    })
  })
})

describe('Hub, draining', () => {
  it('ends few at once, and refuses who comes', async () => {
    await using setting = await openHub()
    const { sink } = await setting.connect()
    await setting.hub.drain(30_000)
    expect(sink.events.at(-1)?.data).toEqual({ reason: 'drain', reconnect: true })
    await expect(setting.connect()).rejects.toMatchObject({ code: 'draining', retryAfterS: 2 })
  })

  it('spreads many over the time, with the polls that wait, and delivers meanwhile', async () => {
    await using setting = await openHub()
    const { hub, clock } = setting
    const { cursor: lastEventId } = await hub.poll({})
    const polls = Array.from({ length: 20 }, () => hub.poll({ lastEventId, waitMs: 50_000 }))
    await Promise.all(Array.from({ length: 100 }, () => setting.connect()))
    await settle()
    const drained = hub.drain(30_000)
    expect(hub.local.count()).toBe(100)
    clock.advance(100)
    await Promise.all(polls)
    expect(hub.local.count()).toBe(75)
    expect(await hub.broadcast('e', 1)).toMatchObject({ delivered: 75 })
    expect((await hub.poll({ lastEventId: '0', waitMs: 50_000 })).entries).toHaveLength(1)
    clock.advance(250)
    await drained
    expect(hub.local.count()).toBe(0)
  })

  it('ends the rest at once when there is no more time', async () => {
    await using setting = await openHub()
    for (let n = 0; n < 100; n++) await setting.connect()
    const limit = new AbortController()
    const drained = setting.hub.drain(30_000, limit.signal)
    limit.abort()
    await drained
    expect(setting.hub.local.count()).toBe(0)
  })
})
