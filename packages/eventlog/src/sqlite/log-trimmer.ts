import { setImmediate as turn } from 'node:timers/promises'
import type { LogEntry } from '../event-log.ts'
import { integerOf, type Row } from './row.ts'
import { SLICE_BYTES, type Slice } from './row-trimmer.ts'
import type { SqliteEventLog } from './sqlite-event-log.ts'
import type { Statements } from './statements.ts'
import type { WriteQueue } from './write-queue.ts'

/** Appended rows after which it is looked whether some are too many. */
const ROWS_A_PASS = 2_048
/** The same of their data, in characters. */
const DATA_A_PASS = 4_194_304
/** Rows that one transaction deletes of what was dropped or has expired. */
const SLICE = 250

export interface LogTrimmerOptions {
  readonly sql: Statements
  readonly writes: WriteQueue
  readonly now: () => number
  readonly logs: () => Iterable<SqliteEventLog>
  readonly onError: (error: unknown) => void
}

/** Deletes what is trimmed, expired or dropped: a slice, then a turn of the event loop, and so on. */
export class LogTrimmer {
  readonly #options: LogTrimmerOptions
  #rows = 0
  #data = 0
  #pass: Promise<void> | undefined
  #nextPass: Promise<void> | undefined
  #closed = false

  constructor(options: LogTrimmerOptions) {
    this.#options = options
  }

  onAppended(entries: readonly LogEntry[]): void {
    this.#rows += entries.length
    for (const { event } of entries) this.#data += event.json.length
    if (this.#rows < ROWS_A_PASS && this.#data < DATA_A_PASS) return
    this.#rows = 0
    this.#data = 0
    void this.run()
  }

  /** Deletes what is to be deleted now. Where that is being done, it is done again. */
  run(): Promise<void> {
    if (this.#pass === undefined) {
      this.#pass = this.#deleteAll().finally(() => {
        this.#pass = undefined
      })
      return this.#pass
    }
    this.#nextPass ??= this.#pass.then(() => {
      this.#nextPass = undefined
      return this.run()
    })
    return this.#nextPass
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#pass
  }

  async #deleteAll(): Promise<void> {
    try {
      await turn()
      for (const log of this.#options.logs()) {
        const done = await this.#work(log.trimmer.slices(this.#options.now()))
        if (!done) log.trimmer.rollBack()
      }
      await this.#work(this.#expired())
      await this.#work(this.#dropped())
    } catch (error) {
      this.#options.onError(error)
    }
  }

  /** Answers whether all of it was done, or none had to be: what is not is done the next time. */
  async #work(slices: Iterable<Slice>): Promise<boolean> {
    await this.#options.writes.ready()
    if (this.#closed) return true
    for (const slice of slices) {
      if (this.#options.writes.transaction(slice) !== undefined) return false
      await turn()
      await this.#options.writes.ready()
      if (this.#closed) return true
    }
    return true
  }

  *#expired(): Generator<Slice> {
    const { sql, now } = this.#options
    for (let deleted = SLICE; deleted === SLICE; ) {
      const expired: Row | undefined = sql.of('anyExpiredOnce').get(now())
      if (expired === undefined) return
      yield () => {
        deleted = Number(sql.of('deleteExpiredOnce').run(now(), SLICE).changes)
        return SLICE_BYTES
      }
    }
  }

  *#dropped(): Generator<Slice> {
    const { sql } = this.#options
    for (;;) {
      const row: Row | undefined = sql.of('findDropped').get()
      if (row === undefined) return
      const log = integerOf(row, 'id')
      yield () => {
        this.#reap(log)
        return SLICE_BYTES
      }
    }
  }

  /** Deletes some of what is left of a log, and the log itself once there is no more. */
  #reap(log: number): void {
    const { sql } = this.#options
    const deletes = (statement: 'reapEvents' | 'reapOnce') =>
      Number(sql.of(statement).run(log, SLICE).changes) > 0
    if (deletes('reapEvents') || deletes('reapOnce')) return
    for (let left = SLICE; left > 0; left--) {
      const row: Row | undefined = sql.of('anyTopic').get(log)
      if (row === undefined) {
        sql.of('reapAttributes').run(log)
        sql.of('reapLog').run(log)
        return
      }
      const topic = integerOf(row, 'id')
      const deleted = Number(sql.of('reapTopicEvents').run(topic, left).changes)
      if (deleted === 0) sql.of('deleteTopic').run(topic)
      else left -= deleted
    }
  }
}
