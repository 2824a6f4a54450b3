import { describe, expect, it, vi } from 'vitest'
import { openHub, settle } from '../test/hub-under-test.ts'

describe('Hub, callbacks', () => {
  it('tells of a timeout and then of the close, once', async () => {
    await using setting = await openHub()
    const told: string[] = []
    const { connection } = await setting.connect({
      timeoutMs: 100,
      onTimeout: ({ connectionId }) => void told.push(`timeout ${connectionId}`),
      onClose: ({ connectionId }, end) => void told.push(`close ${connectionId} ${end}`),
    })
    setting.clock.advance(1_000)
    connection.end('forced')
    await settle()
    expect(told).toEqual([`timeout ${connection.connectionId}`, `close ${connection.connectionId} timeout`])
  })

  it('keeps one that throws or rejects from the others, and says so', async () => {
    const failed: [unknown, string][] = []
    await using setting = await openHub({
      onCallbackError: (error, { connectionId }) => void failed.push([error, connectionId]),
    })
    const onClose = vi.fn()
    const fault = new Error('of the caller')
    await setting.connect({
      connectionId: 'throws',
      onClose: () => {
        throw fault
      },
    })
    await setting.connect({ connectionId: 'rejects', onClose: () => Promise.reject(fault) })
    await setting.connect({ connectionId: 'fine', onClose })
    expect(setting.hub.local.closeAll()).toBe(3)
    expect(setting.hub.local.count()).toBe(0)
    await settle()
    expect(onClose).toHaveBeenCalledOnce()
    expect(failed).toEqual([
      [fault, 'throws'],
      [fault, 'rejects'],
    ])
  })

  it('warns where nobody asked to hear of a callback that throws', async () => {
    await using setting = await openHub()
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
    await setting.connect({
      onClose: () => {
        throw new Error('of the caller')
      },
    })
    setting.hub.local.closeAll()
    expect(await warned).toMatchObject({ name: 'HubCallbackWarning' })
  })

  it('hands an event to all before a callback may publish the next', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 10 } })
    const { hub } = setting
    const slow = await setting.connect({ onClose: () => void hub.broadcast('left', 'slow') })
    const others = [await setting.connect(), await setting.connect()]
    slow.sink.pause()
    await hub.broadcast('e', 1)
    await hub.broadcast('e', 2)
    await settle()
    expect(slow.sink.events.at(-1)?.data).toEqual({ reason: 'slow_consumer', reconnect: true })
    for (const { sink } of others) expect(sink.received).toEqual([1, 2, 'slow'])
  })

  it('tells of a log that cannot be read, and ends the stream to be resumed', async () => {
    await using setting = await openHub()
    await setting.hub.broadcast('e', 1)
    const fault = new Error('disk')
    const log = await setting.store.open('hub', { retention: () => ({ maxEvents: 1, maxAgeMs: 1 }) })
    log.read = () => Promise.reject(fault)
    const told: unknown[] = []
    const { sink } = await setting.connect({
      lastEventId: '0',
      onError: (error) => void told.push(error),
      onClose: (_connection, end) => void told.push(end),
    })
    await settle()
    expect(told).toEqual([fault, 'upstream_lost'])
    expect(sink.events.at(-1)?.data).toEqual({ reason: 'upstream_lost', reconnect: true })
    expect(setting.hub.local.count()).toBe(0)
  })
})
