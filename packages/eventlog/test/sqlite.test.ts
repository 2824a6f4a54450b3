import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { SqliteEventStore } from '../src/sqlite/index.ts'
import { eventStoreContract } from './contract.ts'

let folder = ''
let files = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-store-'))
})
afterAll(async () => await rm(folder, { recursive: true }))

eventStoreContract('sqlite', async (clock) =>
  SqliteEventStore.open({ path: join(folder, `${files++}.db`), clock }),
)
eventStoreContract('sqlite, from the disk', async (clock) =>
  SqliteEventStore.open({ path: join(folder, `${files++}.db`), clock, tailMaxEvents: 1 }),
)
