import { type FileHandle, open } from 'node:fs/promises'
import type { DatabaseSync } from 'node:sqlite'
import { StoreUnavailableError } from '../log-error.ts'
import type { Synchronous } from './database-file.ts'
import { integerOf, type Row } from './row.ts'
import type { WriteQueue } from './write-queue.ts'

/** What is written between two checkpoints, roughly, in bytes: copied into the database in a few ms. */
const CHECKPOINT_BYTES = 3_145_728
/** Pages of the write-ahead log, 16 MB, at which one is due however few of them differ. */
const CHECKPOINT_PAGES = 4_000
/** Transactions after which it is looked how many there are. */
const LOOK_TRANSACTIONS = 100

export interface CheckpointerOptions {
  readonly db: DatabaseSync
  readonly path: string
  readonly synchronous: Synchronous
  readonly writes: WriteQueue
  readonly onError: (error: unknown) => void
}

/**
 * Copies the write-ahead log into the database, without waiting for the disk on the event loop.
 *
 * The engine's own checkpoint waits twice: until the write-ahead log is on the disk, and, before it is begun
 * anew, until the database is. Here both are waited for off the loop, while nothing is written; only the copying between
 * them, into the memory of the system, holds the loop. So what is on the disk is at each moment what it would be with the
 * engine's own.
 */
export class Checkpointer {
  readonly #options: CheckpointerOptions
  // Stays open as long as the database is: a process that closes a file gives up all of its locks on it.
  #database: FileHandle | undefined
  #writeAhead: FileHandle | undefined
  #bytes = 0
  #transactions = 0
  #unpause: (() => void) | undefined
  #running: Promise<void> | undefined
  #closed = false

  constructor(options: CheckpointerOptions) {
    this.#options = options
    options.db.exec('PRAGMA wal_autocheckpoint = 0')
  }

  /** To be called after each transaction. */
  onCommitted(bytes: number): void {
    this.#bytes += bytes
    this.#transactions += 1
    if (this.#running !== undefined) {
      // The disk is slower than those who write.
      if (this.#bytes >= CHECKPOINT_BYTES) this.#pause()
      return
    }
    if (this.#closed || !this.#isDue()) return
    this.#bytes = 0
    this.#running = this.#checkpoint().finally(() => {
      this.#running = undefined
    })
  }

  /** To be called before the database is closed. The answer is called after that. */
  async close(): Promise<() => Promise<void>> {
    this.#closed = true
    await this.#running
    return async () => {
      await this.#writeAhead?.close()
      await this.#database?.close()
    }
  }

  #isDue(): boolean {
    if (this.#bytes >= CHECKPOINT_BYTES) return true
    if (this.#transactions < LOOK_TRANSACTIONS) return false
    this.#transactions = 0
    try {
      return this.#pagesWaiting('NOOP') >= CHECKPOINT_PAGES
    } catch (error) {
      this.#options.onError(error)
      return false
    }
  }

  async #checkpoint(): Promise<void> {
    const { path, writes, onError } = this.#options
    try {
      this.#database ??= await open(path, 'r+')
      this.#writeAhead ??= await open(`${path}-wal`, 'r+')
      // Most of it goes to the disk while writing goes on, so that little is left to wait for.
      await this.#writeAhead.datasync()
      this.#pause()
      await this.#writeAhead.datasync()
      this.#copy()
    } catch (error) {
      // Nothing was copied: it is tried again after some more transactions.
      this.#resume()
      onError(error)
      return
    }
    try {
      await this.#database.datasync()
      this.#resume()
    } catch (error) {
      // The write-ahead log is all there is of what was copied, and is begun anew with the next transaction.
      const reason = `the disk of ${path} lost what was written to it; see that it is sound, and start again`
      writes.stop(new StoreUnavailableError(reason, error))
    }
  }

  #pause(): void {
    this.#unpause ??= this.#options.writes.pause()
  }

  #resume(): void {
    this.#unpause?.()
    this.#unpause = undefined
  }

  #copy(): void {
    const { db, synchronous } = this.#options
    db.exec('PRAGMA synchronous = OFF')
    try {
      this.#pagesWaiting('PASSIVE')
    } finally {
      db.exec(`PRAGMA synchronous = ${synchronous}`)
    }
  }

  /** How many pages wait in the write-ahead log; `PASSIVE` copies them. */
  #pagesWaiting(mode: 'NOOP' | 'PASSIVE'): number {
    const row: Row = this.#options.db.prepare(`PRAGMA wal_checkpoint(${mode})`).get() ?? {}
    return integerOf(row, 'log')
  }
}
