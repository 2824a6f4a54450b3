import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EventLog } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { SqliteEventStore } from '@tributary/eventlog/sqlite'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openHub, settle } from '../test/hub-under-test.ts'

/** A store whose logs do as `change` says. */
function storeWith(change: (log: EventLog) => void): MemoryEventStore {
  const store = new MemoryEventStore()
  const open = store.open.bind(store)
  store.open = async (name, options) => {
    const log = await open(name, options)
    change(log)
    return log
  }
  return store
}

describe('Hub.probe', () => {
  it('answers how long an event took through log and fan-out', async () => {
    await using t = await openHub()
    const { ageMs, tookMs } = await t.hub.probe()
    expect(ageMs).toBe(0)
    expect(tookMs).toBeGreaterThan(0)
  })

  it('is no connection, event or delivery of anybody', async () => {
    const told: string[] = []
    const meter = {
      opened: () => void told.push('opened'),
      ended: () => void told.push('ended'),
      gap: () => void told.push('gap'),
      dropped: () => void told.push('dropped'),
      replayed: () => void told.push('replayed'),
    }
    const hubMeter = {
      delivered: () => void told.push('delivered'),
      refused: () => void told.push('refused'),
    }
    await using t = await openHub({ meter: hubMeter, streams: { meter } })
    const before = [t.hub.stats(), t.hub.local.status(), t.hub.local.count(), t.streams.totals()]
    const opened = told.length
    const probing = t.hub.probe()
    await settle()
    expect([t.hub.local.connections(), t.streams.size]).toEqual([[], 0])
    await probing
    expect([t.hub.stats(), t.hub.local.status(), t.hub.local.count(), t.streams.totals()]).toEqual(before)
    expect([opened, told]).toEqual([0, []])
  })

  it('is told to no reader, now or by replay', async () => {
    await using t = await openHub()
    const ann = await t.connect({ userId: 'ann' })
    await t.hub.probe()
    await t.hub.broadcast('news', 1)
    const late = await t.connect({ lastEventId: '0' })
    await settle()
    expect([ann.sink.received, late.sink.received]).toEqual([[1], [1]])
    expect(late.sink.types).not.toContain('gap')
  })

  it('is shared by calls that overlap, and stands for a second', async () => {
    let appends = 0
    const store = storeWith((log) => {
      const append = log.append.bind(log)
      log.append = (...given) => {
        appends += 1
        return append(...given)
      }
    })
    await using t = await openHub({ store })
    await Promise.all([t.hub.probe(), t.hub.probe(), t.hub.probe()])
    t.clock.advance(999)
    expect([await t.hub.probe(), appends]).toMatchObject([{ ageMs: 999 }, 1])
    t.clock.advance(1)
    expect([await t.hub.probe(), appends]).toMatchObject([{ ageMs: 0 }, 2])
  })

  it('keeps the last of its events at most', async () => {
    await using t = await openHub()
    const log = await t.store.open('hub', { retention: () => ({ maxEvents: 0, maxAgeMs: 0 }) })
    for (let n = 0; n < 5; n++) {
      await t.hub.probe()
      t.clock.advance(1_000)
    }
    await t.store.trim()
    expect([log.head.n, (await log.read(0)).entries.length]).toEqual([5, 1])
    t.clock.advance(60_001)
    await t.store.trim()
    expect((await log.read(0)).entries).toEqual([])
  })
})

describe('Hub.probe fails', () => {
  it('where the disk is full', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hub-probe-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const store = await SqliteEventStore.open({ path: join(folder, 'hub.db'), maxFileBytes: 1_048_576 })
    await using t = await openHub({ store })
    const fillWith = async (data: unknown): Promise<void> => {
      for (;;) await t.hub.broadcast('fill', data)
    }
    await expect(fillWith('x'.repeat(100_000))).rejects.toMatchObject({ code: 'store_unavailable' })
    // What is left of the last page may have room for a small one.
    await expect(fillWith(0)).rejects.toMatchObject({ code: 'store_unavailable' })
    await expect(t.hub.probe()).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('where nothing comes back in time, and leaves no reader behind', async () => {
    const store = storeWith((log) => {
      log.tail = () => () => undefined
    })
    await using t = await openHub({ store })
    const probing = expect(t.hub.probe()).rejects.toMatchObject({
      code: 'not_ready',
      message: 'No event came through within 1500 ms.',
    })
    await settle()
    t.clock.advance(1_500)
    await probing
    expect([t.streams.size, t.clock.timerCount]).toEqual([0, 0])
  })

  it('where the store takes an event and never says so', async () => {
    let stuck = true
    const store = storeWith((log) => {
      const append = log.append.bind(log)
      log.append = (...given) => (stuck ? new Promise(() => undefined) : append(...given))
    })
    await using t = await openHub({ store })
    const probing = expect(t.hub.probe()).rejects.toMatchObject({ code: 'not_ready' })
    await settle()
    t.clock.advance(1_500)
    await probing
    stuck = false
    expect(await t.hub.probe()).toMatchObject({ ageMs: 0 })
  })

  it('once the drain has begun', async () => {
    await using t = await openHub({ clock: new FakeClock() })
    await t.hub.drain(0)
    await expect(t.hub.probe()).rejects.toMatchObject({ code: 'draining' })
  })
})
