import type { EventStore } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { StreamServer, type StreamServerOptions } from '@tributary/sse'
import { FakeClock } from '@tributary/testkit'
import type { Connection, ConnectOptions } from '../src/connection.ts'
import { Hub } from '../src/hub.ts'
import type { HubOptions } from '../src/hub-options.ts'
import { MemorySink } from './memory-sink.ts'

/** Lets what is due in this turn happen: callbacks, and replays from memory. */
export const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

interface Setting extends Partial<Omit<HubOptions, 'clock' | 'streams'>> {
  readonly clock?: FakeClock
  readonly streams?: Partial<Omit<StreamServerOptions, 'clock'>>
}

/** A hub in memory, on a clock that the test moves. */
export async function openHub({ streams: streamOptions, clock = new FakeClock(), ...options }: Setting = {}) {
  const store: EventStore = options.store ?? new MemoryEventStore({ clock })
  const streams = new StreamServer({ clock, random: () => 0, ...streamOptions })
  const hub = await Hub.open({ clock, streams, ...options, store })
  return {
    clock,
    store,
    streams,
    hub,
    /** Connects a reader in memory. */
    async connect(
      connectOptions: ConnectOptions = {},
    ): Promise<{ connection: Connection; sink: MemorySink }> {
      const sink = new MemorySink()
      return { sink, connection: await hub.connect(connectOptions, () => sink) }
    },
    async [Symbol.asyncDispose]() {
      await hub[Symbol.asyncDispose]()
      await store.close()
    },
  }
}
