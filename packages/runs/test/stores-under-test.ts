import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EventStore, StoreUnavailableError } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { SqliteEventStore } from '@tributary/eventlog/sqlite'
import type { Clock } from '@tributary/protocol'
import { storeWith } from './runs-under-test.ts'

/** Where logs are kept while processes come and go. */
export interface Disk extends AsyncDisposable {
  /** What a process opens. It closes it before the next one does. */
  open(): Promise<EventStore>
}

export const DISKS = { memory: memoryDisk, sqlite: sqliteDisk }

/** In memory that outlives what each "process" closes. */
async function memoryDisk(clock: Clock): Promise<Disk> {
  const memory = new MemoryEventStore({ clock })
  const store: EventStore = {
    durable: true,
    health: { status: 'ok' },
    open: (name, options) => memory.open(name, options),
    drop: (name) => memory.drop(name),
    trim: () => memory.trim(),
    find: (name) => memory.find(name),
    list: (options) => memory.list(options),
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }
  return { open: async () => store, [Symbol.asyncDispose]: () => memory.close() }
}

async function sqliteDisk(clock: Clock): Promise<Disk> {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-runs-'))
  return {
    open: () => SqliteEventStore.open({ path: join(folder, 'runs.db'), clock }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

/** A store that can be full: then nothing is appended to any log of a run. */
export function fillable(store: EventStore): { store: EventStore; disk: { full: boolean } } {
  const disk = { full: false }
  const refuse = () => Promise.reject(new StoreUnavailableError('the disk is full'))
  storeWith(store, (log) => {
    const append = log.append.bind(log)
    const close = log.close.bind(log)
    log.append = (...given) => (disk.full ? refuse() : append(...given))
    log.close = (...given) => (disk.full ? refuse() : close(...given))
  })
  return { store, disk }
}
