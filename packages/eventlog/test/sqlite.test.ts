import { join } from 'node:path'
import { SqliteEventStore, type SqliteEventStoreOptions } from '../src/sqlite/index.ts'
import { durableStoreContract } from './contract.ts'
import type { NewPlace } from './log-fixture.ts'
import { testFolder } from './test-folder.ts'

const folder = testFolder()
let places = 0

function newPlace(options: Partial<SqliteEventStoreOptions> = {}): NewPlace {
  return () => {
    const path = join(folder, `${places++}.db`)
    return (clock) => SqliteEventStore.open({ path, clock, ...options })
  }
}

durableStoreContract('sqlite', newPlace())
// With next to nothing in memory, so that all is read from the disk.
durableStoreContract('sqlite, from the disk', newPlace({ tailMaxEvents: 1 }))
