import type { ConnectionState } from '@tributary/protocol'
import { DEFAULT_TICK_MS } from '@tributary/sse'
import { describe, expect, it } from 'vitest'
import { openHub, settle } from '../test/hub-under-test.ts'
import { MemorySink } from '../test/memory-sink.ts'

const HEARTBEAT_MS = 1_000
const hubOf = () => openHub({ streams: { heartbeatMs: HEARTBEAT_MS } })
const only = (state: ConnectionState) => ({
  connecting: 0,
  connected: 0,
  idle: 0,
  stale: 0,
  disconnecting: 0,
  [state]: 1,
})

/** Its socket takes its time to close. */
class LingeringSink extends MemorySink {
  override end(): void {}

  override leave(): void {
    super.end()
  }
}

describe('the state of a connection', () => {
  it('is connecting until its stream stands and has caught up', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 10 } })
    const { hub } = setting
    for (let n = 0; n < 3; n++) await hub.broadcast('news', n)
    const sink = new MemorySink()
    sink.pause()
    const opening = hub.connect({ connectionId: 'c', lastEventId: '0' }, () => sink)
    expect(hub.local.getConnection('c')?.view()).toMatchObject({ state: 'connecting', eventsSent: 0 })
    expect(hub.local.status().connectionStates).toEqual(only('connecting'))
    const connection = await opening
    await settle()
    expect([connection.state, sink.received]).toEqual(['connecting', []])
    sink.resume()
    await settle()
    expect([connection.state, sink.received]).toEqual(['connected', [0, 1, 2]])
  })

  it('is idle after two heartbeats without an event, for heartbeats are none', async () => {
    await using setting = await hubOf()
    const { connection, sink } = await setting.connect()
    const openedAt = setting.clock.now()
    setting.clock.advance(2 * HEARTBEAT_MS)
    expect(connection.view()).toMatchObject({ state: 'connected', lastActivityAt: openedAt })
    setting.clock.advance(1)
    expect(sink.types).toContain('heartbeat')
    expect(connection.view()).toMatchObject({ state: 'idle', lastActivityAt: openedAt, eventsSent: 0 })
    // The time of an event is that of the last tick.
    setting.clock.advance(DEFAULT_TICK_MS - 1)
    await setting.hub.broadcast('news', 1)
    expect(connection.view()).toMatchObject({
      state: 'connected',
      lastActivityAt: setting.clock.now(),
      eventsSent: 1,
    })
  })

  it('is stale while what was sent waits for longer than a heartbeat, and no more when it is read', async () => {
    await using setting = await hubOf()
    const { connection, sink } = await setting.connect()
    sink.pause()
    for (let n = 0; n < 3; n++) await setting.hub.broadcast('news', n)
    setting.clock.advance(HEARTBEAT_MS)
    const { outbox, state } = connection.view()
    expect(state).toBe('connected')
    expect(outbox.bytes).toBeGreaterThan(0)
    expect(outbox.events).toBeGreaterThanOrEqual(2)
    setting.clock.advance(1)
    expect(connection.state).toBe('stale')
    expect(setting.hub.local.status().connectionStates).toEqual(only('stale'))
    sink.resume()
    // Its reader's side takes what waited, the second time, too.
    sink.resume()
    expect(connection.view()).toMatchObject({ state: 'connected', outbox: { bytes: 0, events: 0 } })
  })

  it('is disconnecting from when it is told why until its socket is closed', async () => {
    await using setting = await hubOf()
    const { hub } = setting
    const sink = new LingeringSink()
    const connection = await hub.connect({ connectionId: 'c' }, () => sink)
    hub.local.close('c')
    expect(sink.types.at(-1)).toBe('disconnected')
    expect([connection.state, hub.local.count()]).toEqual(['disconnecting', 0])
    expect(hub.local.status()).toMatchObject({ totalEmitters: 0, connectionStates: only('disconnecting') })
    expect(hub.local.leavingConnections()).toEqual([connection])
    sink.leave()
    expect(hub.local.leavingConnections()).toEqual([])
  })

  it('is disconnecting for one that is closed while it is opened, and nothing of it stays', async () => {
    await using setting = await hubOf()
    const sink = new LingeringSink()
    const opening = setting.hub.connect({ connectionId: 'c', lastEventId: '0' }, () => sink)
    const connection = setting.hub.local.getConnection('c')
    setting.hub.local.close('c')
    expect([connection?.state, setting.streams.admitted]).toEqual(['disconnecting', 0])
    await opening
    expect(setting.hub.local.leavingConnections()).toEqual([connection])
    sink.leave()
    expect(setting.hub.local.leavingConnections()).toEqual([])
  })

  it('is none for one that leaves by itself', async () => {
    await using setting = await hubOf()
    const { sink } = await setting.connect({ address: '192.0.2.1' })
    expect(setting.hub.local.connections()[0]?.view()).toMatchObject({
      address: '192.0.2.1',
      transport: 'sse',
    })
    sink.leave()
    expect([setting.hub.local.count(), setting.hub.local.leavingConnections()]).toEqual([0, []])
  })
})
