import { ALL_TOPIC, groupTopic } from '@tributary/protocol'
import { StreamServer } from '@tributary/sse'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { openHub, settle } from '../test/hub-under-test.ts'
import { Connection } from './connection.ts'
import { ConnectionIndex } from './connection-index.ts'
import { NO_TIMES } from './connection-state.ts'
import { hubFaults } from './hub-faults.ts'

/** An index with one connection that still opens, at time 0. */
function setUp() {
  const index = new ConnectionIndex()
  const connection = new Connection('c1', { userId: 'ann', groups: ['chat'] }, NO_TIMES)
  index.add(connection)
  const streams = new StreamServer({ clock: new FakeClock() })
  const look = (now = 0) => hubFaults({ index, streams, now })
  const kinds = (now?: number) => look(now).map(({ kind, id }) => `${kind} ${id}`)
  return { index, connection, look, kinds }
}

describe('the faults of a hub', () => {
  it('are none while connections come, move, are refreshed and go, and while it is probed', async () => {
    await using fx = await openHub()
    const { hub, clock } = fx
    const probing = hub.probe()
    const [a, b] = [
      await fx.connect({ connectionId: 'a', userId: 'ann' }),
      await fx.connect({ groups: ['chat'] }),
    ]
    hub.addToGroup('a', 'chat')
    hub.refresh('a', { roles: ['editor'], metadata: {}, mayJoin: (group) => group !== 'chat' })
    expect(hub.faults()).toEqual([])
    b.sink.leave()
    hub.local.close('a')
    await fx.connect({ userId: 'bob' })
    await probing
    clock.advance(3_600_000)
    await settle()
    expect([hub.local.count(), hub.faults()]).toEqual([0, []])
    expect(a.sink.types.at(-1)).toBe('disconnected')
  })

  it('tell of a connection whose stream has ended, and let go of it', async () => {
    await using fx = await openHub()
    const { connection, sink } = await fx.connect({ connectionId: 'c1', userId: 'ann' })
    sink.leave()
    const index = new ConnectionIndex()
    index.add(connection)
    const [fault] = hubFaults({ index, streams: fx.streams, now: fx.clock.now() })
    expect([fault?.kind, fault?.id]).toEqual(['leaked_connection', 'c1'])
    await fault?.correct()
    expect([index.size, index.topicCount]).toEqual([0, 0])
  })

  it('tell of one that never comes to stand, but not of one that still may', async () => {
    const { index, connection, look, kinds } = setUp()
    expect(kinds(60_000)).toEqual([])
    expect(kinds(60_001)).toEqual(['leaked_connection c1'])
    for (const fault of look(60_001)) await fault.correct()
    expect([index.size, connection.state]).toEqual([0, 'disconnecting'])
  })

  it('tell of topics that a connection is found under and should not be, and of those that it is missing from', async () => {
    const { index, connection, look, kinds } = setUp()
    index.addUnder(groupTopic('chat'), new Connection('guest', {}, NO_TIMES))
    expect(kinds()).toEqual([])
    // Behind the index's back.
    connection.removeGroup('chat')
    connection.addGroup('news')
    expect(kinds()).toEqual(['leaked_subscription c1 group:chat', 'lost_subscription c1 group:news'])
    for (const fault of look()) await fault.correct()
    expect(kinds()).toEqual([])
    expect([...index.ofGroup('news')]).toEqual([connection])
    expect([...index.under(ALL_TOPIC)]).toEqual([connection])
  })
})
