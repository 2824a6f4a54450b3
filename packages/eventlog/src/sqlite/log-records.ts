import { DEFAULT_PAGE_LIMIT, type ListOptions, type LogSummary, type OpenOptions } from '../event-log.ts'
import { attributesOf, type LogRecord, logRecord } from './log-record.ts'
import { integerOf, type Row } from './row.ts'
import type { LogStore } from './sqlite-event-log.ts'

/** What opening or dropping a log writes, roughly. */
const RECORD_BYTES = 100
/** After every name there is. */
const LAST_NAME = '\u{10ffff}'

/** The records of all logs of a store, whether or not these are open. What goes wrong is thrown as the store's. */
export class LogRecords {
  readonly #store: Pick<LogStore, 'sql' | 'writes' | 'now' | 'failure'>

  constructor(store: Pick<LogStore, 'sql' | 'writes' | 'now' | 'failure'>) {
    this.#store = store
  }

  find(name: string): LogRecord | undefined {
    const { sql, failure } = this.#store
    try {
      const row = this.#row(name)
      return row === undefined ? undefined : logRecord(sql, row)
    } catch (error) {
      throw failure(error)
    }
  }

  summary(name: string): LogSummary | undefined {
    const record = this.find(name)
    return record === undefined ? undefined : this.#summary(record)
  }

  list({ prefix = '', after = '', limit = DEFAULT_PAGE_LIMIT }: ListOptions = {}): LogSummary[] {
    const { sql, failure } = this.#store
    const from = after > prefix ? after : prefix
    try {
      const rows: readonly Row[] = sql.of('listLogs').all(from, after, `${prefix}${LAST_NAME}`, limit)
      return rows.map((row) => this.#summary(logRecord(sql, row)))
    } catch (error) {
      throw failure(error)
    }
  }

  /** The record of a log that is new, unless it is there. */
  async create(name: string, { runId, attributes = {} }: OpenOptions): Promise<LogRecord> {
    const { sql, now } = this.#store
    await this.#written(() => {
      if (this.#row(name) !== undefined) return
      const row: Row = sql.of('insertLog').get(name, runId ?? null, Math.trunc(now())) ?? {}
      const id = integerOf(row, 'id')
      for (const [key, value] of Object.entries(attributes)) sql.of('setAttribute').run(id, key, value)
    })
    const record = this.find(name)
    if (record === undefined) throw new Error(`the log ${name} was dropped while it was opened`)
    return record
  }

  /** @param settled called at once when that is stored, before anything else is written. */
  drop(name: string, settled: () => void): Promise<void> {
    return this.#written(() => void this.#store.sql.of('dropLog').run(name), settled)
  }

  #row(name: string): Row | undefined {
    return this.#store.sql.of('findLog').get(name)
  }

  #summary({ id, name, head, closed }: LogRecord): LogSummary {
    return { name, head, closed, attributes: attributesOf(this.#store.sql, id) }
  }

  #written(write: () => void, settled: () => void = () => {}): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#store.writes.add({
      rows: 1,
      bytes: RECORD_BYTES,
      write: () => {
        write()
        return undefined
      },
      settle: () => {
        settled()
        resolve()
      },
      fail: reject,
      rollBack: () => {},
    })
    return promise
  }
}
