import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { integerOf, type Row } from './row.ts'
import { APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION } from './schema.ts'
import { faultReason, isLocked, isNoDatabase } from './store-fault.ts'
import { StoreOpenError } from './store-open-error.ts'

/** How long a file is waited for that another process has open: at a deploy, the old one is about to let go of it. */
export const DEFAULT_LOCK_WAIT_MS = 5_000
const LOCK_RETRY_MS = 100
/** The engine's, on every file that it makes. */
const PAGE_BYTES = 4_096

/** What a power loss may take. A process that is killed loses nothing by either. */
export type Synchronous =
  /** The last moments before it; what is older, and the order, stays. */
  | 'normal'
  /** Nothing that was acknowledged: each transaction waits for the disk. */
  | 'full'

export interface DatabaseFileOptions {
  readonly path: string
  readonly synchronous: Synchronous
  readonly lockWaitMs: number
  readonly maxFileBytes: number | undefined
}

/**
 * Opens the file for this process alone, as a second that wrote to it would give out the same ids.
 *
 * @throws StoreOpenError
 */
export async function openDatabase(options: DatabaseFileOptions): Promise<DatabaseSync> {
  const { path, lockWaitMs } = options
  for (let waitedMs = 0; ; waitedMs += LOCK_RETRY_MS) {
    try {
      return openOnce(options)
    } catch (error) {
      if (error instanceof StoreOpenError) throw error
      if (!isLocked(error)) throw openError(error, path)
      if (waitedMs >= lockWaitMs) {
        throw new StoreOpenError(
          `${path} is in use by another process: stop that one, or give this one a file of its own`,
          { cause: error },
        )
      }
    }
    await wait(LOCK_RETRY_MS)
  }
}

function openOnce({ path, synchronous, maxFileBytes }: DatabaseFileOptions): DatabaseSync {
  createPrivately(path)
  const db = new DatabaseSync(path, { enableForeignKeyConstraints: false })
  try {
    // Before the first access: then the lock is taken with it, and no memory is shared with other processes.
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    db.exec('PRAGMA journal_mode = WAL')
    db.exec(`PRAGMA synchronous = ${synchronous === 'full' ? 'FULL' : 'NORMAL'}`)
    migrate(db, path)
    if (maxFileBytes !== undefined) {
      db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(maxFileBytes / PAGE_BYTES))}`)
    }
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** What is said on the streams is nobody else's business on this machine. */
function createPrivately(path: string): void {
  if (existsSync(path)) return
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  closeSync(openSync(path, 'a', 0o600))
}

function migrate(db: DatabaseSync, path: string): void {
  const version = pragma(db, 'user_version')
  if (version > SCHEMA_VERSION) {
    throw new StoreOpenError(
      `${path} was written by a newer version of this program (its schema is ${version}, ours ${SCHEMA_VERSION}): ` +
        'run that version, or use another file',
    )
  }
  const tables: Row = db.prepare('SELECT count(*) AS count FROM sqlite_schema').get() ?? {}
  const isEmpty = version === 0 && integerOf(tables, 'count') === 0
  if (!isEmpty && pragma(db, 'application_id') !== APPLICATION_ID) {
    throw new StoreOpenError(`${path} is a database of another program: use another file`)
  }
  if (version === SCHEMA_VERSION) return
  db.exec('BEGIN IMMEDIATE')
  for (const migration of MIGRATIONS.slice(version)) db.exec(migration)
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}`)
  db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`)
  db.exec('COMMIT')
}

function pragma(db: DatabaseSync, name: 'user_version' | 'application_id'): number {
  const row: Row = db.prepare(`PRAGMA ${name}`).get() ?? {}
  return integerOf(row, name)
}

function openError(error: unknown, path: string): StoreOpenError {
  const message = isNoDatabase(error)
    ? `${path} is no database, or is damaged: move it away, with the files beside it, or bring back a copy`
    : `The store cannot be opened: ${faultReason(error, path)}`
  return new StoreOpenError(message, { cause: error })
}
