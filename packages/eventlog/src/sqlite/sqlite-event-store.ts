import type { DatabaseSync } from 'node:sqlite'
import { systemClock } from '@tributary/protocol'
import type { EventLog, EventStore, ListOptions, OpenOptions, StoreHealth } from '../event-log.ts'
import { InFlight } from '../in-flight.ts'
import { LogMissingError, StoreUnavailableError } from '../log-error.ts'
import { openOnce } from '../open-once.ts'
import { Checkpointer } from './checkpointer.ts'
import { DEFAULT_LOCK_WAIT_MS, openDatabase } from './database-file.ts'
import { LastingFault } from './lasting-fault.ts'
import type { LogRecord } from './log-record.ts'
import { LogRecords } from './log-records.ts'
import { LogTrimmer } from './log-trimmer.ts'
import { OpenedFile } from './opened-file.ts'
import { ReadTurns } from './read-turns.ts'
import { type LogStore, SqliteEventLog } from './sqlite-event-log.ts'
import {
  DEFAULT_SYNCHRONOUS,
  DEFAULT_TAIL_MAX_BYTES,
  DEFAULT_TAIL_MAX_EVENTS,
  DEFAULT_TRIM_INTERVAL_MS,
  type SqliteEventStoreOptions,
} from './sqlite-event-store-options.ts'
import { Statements } from './statements.ts'
import { unavailable } from './store-fault.ts'
import { WriteHealth } from './write-health.ts'
import { WriteQueue } from './write-queue.ts'

/** Logs that have ended and are in memory all the same, as their readers are about to read the end. */
const ENDED_LOGS = 32

/** Logs in one database file of this machine, which this process has for itself. */
export class SqliteEventStore implements EventStore {
  readonly durable = true
  readonly #options: SqliteEventStoreOptions
  readonly #db: DatabaseSync
  readonly #sql: Statements
  readonly #writes: WriteQueue
  readonly #health: WriteHealth
  readonly #fault: LastingFault
  readonly #file: OpenedFile
  readonly #trimmer: LogTrimmer
  readonly #checkpointer: Checkpointer
  readonly #logStore: LogStore
  readonly #records: LogRecords
  readonly #logs = new Map<string, SqliteEventLog>()
  readonly #opening = new InFlight<SqliteEventLog>()
  readonly #dropping = new InFlight<void>()
  readonly #ended = new Set<SqliteEventLog>()
  readonly #stopTrimming: () => void
  #closing: Promise<void> | undefined

  /** @throws StoreOpenError where the file cannot be opened, or another process has it. */
  static async open(options: SqliteEventStoreOptions): Promise<SqliteEventStore> {
    const {
      path,
      synchronous = DEFAULT_SYNCHRONOUS,
      lockWaitMs = DEFAULT_LOCK_WAIT_MS,
      maxFileBytes,
    } = options
    return new SqliteEventStore(options, await openDatabase({ path, synchronous, lockWaitMs, maxFileBytes }))
  }

  private constructor(options: SqliteEventStoreOptions, db: DatabaseSync) {
    const { path, clock = systemClock, trimIntervalMs = DEFAULT_TRIM_INTERVAL_MS } = options
    const failure = (error: unknown) =>
      this.#closing === undefined
        ? unavailable(error, path)
        : new StoreUnavailableError('the store is closed')
    this.#options = options
    this.#db = db
    this.#sql = new Statements(db)
    this.#fault = new LastingFault(path)
    this.#file = new OpenedFile(path)
    this.#health = new WriteHealth({ clock, path, sql: this.#sql })
    this.#writes = new WriteQueue({
      sql: this.#sql,
      isInTransaction: () => db.isTransaction,
      failure,
      onFailed: (error) => {
        this.#fault.onWriteError(error)
        this.#health.onFailed(error, this.#writes)
        this.#report(error)
      },
      onCommitted: (bytes) => {
        this.#health.onCommitted()
        this.#checkpointer.onCommitted(bytes)
      },
      onStored: options.onStored,
    })
    this.#checkpointer = new Checkpointer({
      db,
      path,
      synchronous: options.synchronous ?? DEFAULT_SYNCHRONOUS,
      writes: this.#writes,
      onError: (error) => this.#report(error),
    })
    this.#trimmer = new LogTrimmer({
      sql: this.#sql,
      writes: this.#writes,
      now: () => clock.now(),
      logs: () => this.#logs.values(),
      onError: (error) => this.#onTrimError(error),
    })
    this.#logStore = {
      sql: this.#sql,
      writes: this.#writes,
      reads: new ReadTurns(),
      now: () => clock.now(),
      failure: (error) => {
        this.#fault.onReadError(error)
        return failure(error)
      },
      tailMaxEvents: options.tailMaxEvents ?? DEFAULT_TAIL_MAX_EVENTS,
      tailMaxBytes: options.tailMaxBytes ?? DEFAULT_TAIL_MAX_BYTES,
      onAppended: (entries) => this.#trimmer.onAppended(entries),
      onClosed: (log) => this.#onClosed(log),
    }
    this.#records = new LogRecords(this.#logStore)
    this.#stopTrimming = clock.every(trimIntervalMs, () => this.#onTrimTime())
    // What was dropped and not deleted before the process ended.
    void this.#trimmer.run()
  }

  get health(): StoreHealth {
    return this.#fault.state ?? this.#health.state
  }

  async open(name: string, options: OpenOptions): Promise<EventLog> {
    // A log that is being dropped is still there, should that fail.
    await this.#dropping.settled(name)
    return (
      this.#logs.get(name) ?? (await openOnce(this.#opening, name, options, () => this.#open(name, options)))
    )
  }

  drop(name: string): Promise<void> {
    return this.#dropping.run(name, () => this.#drop(name))
  }

  async trim(): Promise<void> {
    for (const log of this.#logs.values()) {
      try {
        log.trim()
      } catch (error) {
        this.#onTrimError(error)
      }
    }
    await this.#trimmer.run()
  }

  async find(name: string) {
    return this.#records.summary(name)
  }

  async list(options?: ListOptions) {
    return this.#records.list(options)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    this.#stopTrimming()
    this.#health.close()
    await this.#trimmer.close()
    const closed = await this.#checkpointer.close()
    this.#writes.close()
    this.#logs.clear()
    // Closing ends the write-ahead log, which is not to be trusted to a disk that has failed.
    if (!this.#writes.failed) this.#db.close()
    await closed()
  }

  async #open(name: string, options: OpenOptions): Promise<SqliteEventLog> {
    const found = this.#records.find(name)
    if (found === undefined && options.mustExist) throw new LogMissingError(name)
    const record = found ?? (await this.#records.create(name, options))
    const log = this.#logOf(record, options)
    this.#logs.set(name, log)
    if (record.closed) this.#onClosed(log)
    return log
  }

  async #drop(name: string): Promise<void> {
    await this.#opening.settled(name)
    const log = this.#logs.get(name)
    await this.#records.drop(name, () => {
      log?.drop()
      if (log !== undefined) this.#forget(log)
    })
    void this.#trimmer.run()
  }

  #logOf(record: LogRecord, options: OpenOptions): SqliteEventLog {
    try {
      return new SqliteEventLog(record, options, this.#logStore)
    } catch (error) {
      throw this.#logStore.failure(error)
    }
  }

  /** Keeps the newest few of those that have ended. */
  #onClosed(log: SqliteEventLog): void {
    this.#ended.add(log)
    for (const oldest of this.#ended) {
      if (this.#ended.size <= ENDED_LOGS) return
      this.#forget(oldest)
      oldest.release()
    }
  }

  #forget(log: SqliteEventLog): void {
    this.#ended.delete(log)
    if (this.#logs.get(log.name) === log) this.#logs.delete(log.name)
  }

  #onTrimTime(): void {
    if (this.#file.isGone) {
      const { path } = this.#options
      this.#fault.degrade(
        `${path} was removed or replaced while it is open, and what is stored now is lost at the next start; ` +
          'stop the service, put the right file there, and start again',
      )
    }
    void this.trim()
  }

  /** Trimming reads, and nobody else is told of what it met. */
  #onTrimError(error: unknown): void {
    this.#fault.onReadError(error)
    this.#report(error)
  }

  #report(error: unknown): void {
    try {
      this.#options.onError?.(error)
    } catch {
      // Whoever listens fails by itself.
    }
  }
}
