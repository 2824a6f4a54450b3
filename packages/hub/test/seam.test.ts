import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EventStore } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { SqliteEventStore } from '@tributary/eventlog/sqlite'
import { systemClock } from '@tributary/protocol'
import { StreamServer } from '@tributary/sse'
import { describe, expect, it } from 'vitest'
import { Hub } from '../src/hub.ts'
import { MAX_EVENTS, playSeam } from './seam-fixture.ts'
import { startFastify, startWeb } from './servers.ts'

/** A store, and what of it is to be cleared away. */
interface OpenStore {
  readonly store: EventStore
  close(): Promise<void>
}

async function openMemory(): Promise<OpenStore> {
  const store = new MemoryEventStore({ clock: systemClock })
  return { store, close: () => store.close() }
}

async function openSqlite(): Promise<OpenStore> {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-seam-'))
  const store = await SqliteEventStore.open({ path: join(folder, 'events.db') })
  const close = async () => {
    await store.close()
    await rm(folder, { recursive: true, force: true })
  }
  return { store, close }
}

describe.each([
  { framework: 'Fastify', start: startFastify, kept: 'in memory', open: openMemory },
  { framework: 'a Web Response', start: startWeb, kept: 'in memory', open: openMemory },
  { framework: 'Fastify', start: startFastify, kept: 'in SQLite', open: openSqlite },
])('The seam of replay and live $kept, in $framework', ({ start, open }) => {
  it('gives each of hundreds of readers that come and go exactly what was for it, in order', {
    timeout: 120_000,
  }, async () => {
    const streams = new StreamServer({ clock: systemClock })
    const { store, close } = await open()
    await using owned = new AsyncDisposableStack()
    owned.defer(close)
    await using hub = await Hub.open({
      store,
      streams,
      historyMaxEvents: MAX_EVENTS,
      maxConnectionsPerUser: 0,
    })
    await using server = await start(hub)
    await playSeam({ hubs: [hub], servers: [server] })
    expect(streams.size).toBe(0)
    expect(hub.local.status()).toMatchObject({ totalUsers: 0, totalGroups: 0 })
  })
})
