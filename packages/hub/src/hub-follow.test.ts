import { StoreUnavailableError } from '@tributary/eventlog'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { openHub, settle } from '../test/hub-under-test.ts'
import { LateFollowing } from '../test/late-following.ts'

/** A hub over a log that follows when the test says so. */
async function following({ atOnce = false } = {}) {
  const clock = new FakeClock()
  const late = new LateFollowing()
  late.atOnce = atOnce
  const setting = await openHub({ clock, store: late.store(clock) })
  return { ...setting, late }
}

describe('Hub, over a log that has to be followed', () => {
  it('greets a reader once what is for it is heard of, and begins with what comes after', async () => {
    await using setting = await following()
    const { hub, late } = setting
    const connecting = setting.connect({ connectionId: 'c', userId: 'ann', groups: ['g'] })
    await settle()
    await hub.sendToGroup('g', 'e', 'before')
    expect(hub.local.getConnection('c')?.state).toBe('connecting')
    late.settle()
    const { sink } = await connecting
    await hub.sendToGroup('g', 'e', 'after')
    expect(sink.received).toEqual(['after'])
    expect([...late.followed.keys()].toSorted()).toEqual(['all', 'connection:c', 'group:g', 'user:ann'])
  })

  it('replays to a reader with a cursor what came before it was followed', async () => {
    await using setting = await following()
    const { hub, late } = setting
    const { id } = await hub.sendToGroup('g', 'e', 0)
    const connecting = setting.connect({ groups: ['g'], lastEventId: id ?? '' })
    await settle()
    await hub.sendToGroup('g', 'e', 1)
    late.settle()
    const { sink } = await connecting
    await settle()
    await hub.sendToGroup('g', 'e', 2)
    expect(sink.received).toEqual([1, 2])
  })

  it('lets go of everything when a connection ends, also one that has joined groups since', async () => {
    await using setting = await following({ atOnce: true })
    const { hub, late } = setting
    await setting.connect({ connectionId: 'a', groups: ['g'] })
    await setting.connect({ connectionId: 'b', groups: ['g'] })
    await hub.addToGroup('a', 'h')
    await hub.addToGroup('a', 'h')
    await hub.refresh('a', { roles: ['ops'] })
    expect(late.followed.get('group:g')).toBe(2)
    expect([late.followed.get('group:h'), late.followed.get('role:ops')]).toEqual([1, 1])
    hub.local.close('a')
    expect([...late.followed.entries()].toSorted()).toEqual([
      ['all', 1],
      ['connection:b', 1],
      ['group:g', 1],
    ])
    hub.local.closeAll()
    expect(late.followed.size).toBe(0)
  })

  it('has joined a group once that is followed', async () => {
    await using setting = await following({ atOnce: true })
    const { hub, late } = setting
    const { sink } = await setting.connect({ connectionId: 'c' })
    late.atOnce = false
    const joining = hub.addToGroup('c', 'g')
    await settle()
    expect(hub.local.connectionsOfGroup('g')).toEqual([])
    late.settle()
    expect(await joining).toBe(true)
    await hub.sendToGroup('g', 'e', 1)
    expect(sink.received).toEqual([1])
    await hub.removeFromGroup('c', 'g')
    expect(late.followed.has('group:g')).toBe(false)
  })

  it('joins nothing for one that has ended meanwhile, and follows nothing for it', async () => {
    await using setting = await following({ atOnce: true })
    const { hub, late } = setting
    await setting.connect({ connectionId: 'c' })
    late.atOnce = false
    const joining = hub.addToGroup('c', 'g')
    hub.local.close('c')
    late.settle()
    expect(await joining).toBe(false)
    expect(hub.local.status().emittersByGroup).toEqual({})
    expect(late.followed.size).toBe(0)
  })

  it('refuses a reader, and a join, where nothing can be followed; the next one is tried anew', async () => {
    await using setting = await following({ atOnce: true })
    const { hub, late } = setting
    await setting.connect({ connectionId: 'c' })
    late.atOnce = false
    const connecting = setting.connect({ connectionId: 'd' })
    const joining = hub.addToGroup('c', 'g')
    late.settle(new StoreUnavailableError('away'))
    await expect(connecting).rejects.toMatchObject({ code: 'store_unavailable', statusCode: 503 })
    await expect(joining).rejects.toMatchObject({ code: 'store_unavailable' })
    expect([hub.local.count(), setting.streams.admitted]).toEqual([1, 1])
    late.atOnce = true
    expect(await hub.addToGroup('c', 'g')).toBe(true)
    expect(hub.local.connectionsOfGroup('g')).toHaveLength(1)
  })

  it('follows for a poll, and for the probe, as long as they take', async () => {
    await using setting = await following()
    const { hub, late, clock } = setting
    const polling = hub.poll({ userId: 'ann', lastEventId: '0', waitMs: 1_000 })
    late.settle()
    await settle()
    expect(late.followed.has('user:ann')).toBe(true)
    await hub.sendToUser('ann', 'e', 1)
    expect((await polling).events.map(({ data }) => data)).toEqual([1])
    const probing = hub.probe()
    await settle()
    late.settle()
    await probing
    expect(late.followed.size).toBe(0)
    expect(clock.timerCount).toBeLessThanOrEqual(2)
  })

  it('has every reader’s place judged anew where the log is rewound, and goes on without a repeat', async () => {
    await using setting = await following({ atOnce: true })
    const { hub, late } = setting
    const { sink } = await setting.connect({ lastEventId: '0' })
    await hub.broadcast('e', 1)
    late.rewind()
    await settle()
    await hub.broadcast('e', 2)
    expect(sink.types).toEqual(['connection', 'e', 'e'])
  })
})
