import { StoreUnavailableError } from '../log-error.ts'
import type { Statements } from './statements.ts'

/** Rows that one transaction takes, unless a single call has more. */
const MAX_ROWS = 512
/** Rows that wait at most; what comes beyond them is refused. */
const MAX_WAITING_ROWS = 100_000

/** One call's part of a transaction. */
export interface Write {
  readonly rows: number
  /** Writes it, within the transaction. Answers why it is refused, before anything of it is written. */
  write(): Error | undefined
  /** It is stored. */
  settle(): void
  /** It is not, and nothing of it is there. */
  fail(error: Error): void
  /** Takes back what `write` has noted beside the database. */
  rollBack(): void
}

export interface WriteQueueOptions {
  readonly sql: Statements
  readonly isInTransaction: () => boolean
  /** What an error of the engine is answered as. */
  readonly failure: (error: unknown) => Error
  /** Told of each transaction: whether it could be stored. */
  readonly onOutcome: (error: unknown) => void
}

/**
 * What is to be written, one transaction for each turn of the event loop: calls that come together share the cost
 * of one, across all logs, in the order in which they came.
 */
export class WriteQueue {
  readonly #options: WriteQueueOptions
  #waiting: Write[] = []
  #waitingRows = 0
  #scheduled: NodeJS.Immediate | undefined
  #paused = 0
  #closed = false

  constructor(options: WriteQueueOptions) {
    this.#options = options
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  add(write: Write): void {
    if (this.#closed) {
      write.fail(new StoreUnavailableError('the store is closed'))
      return
    }
    if (this.#waitingRows + write.rows > MAX_WAITING_ROWS) {
      write.fail(new StoreUnavailableError('more comes than the disk takes; send less, or use a faster disk'))
      return
    }
    this.#waiting.push(write)
    this.#waitingRows += write.rows
    this.#schedule()
  }

  /** Writes what one transaction takes of what waits. */
  flush(): void {
    const writes = this.#next()
    const refusals = new Map<Write, Error>()
    if (writes.length === 0) return
    const failure = this.transaction(() => {
      for (const write of writes) {
        const refusal = write.write()
        if (refusal !== undefined) refusals.set(write, refusal)
      }
      return refusals.size < writes.length
    })
    if (failure !== undefined) for (const write of writes) write.rollBack()
    for (const write of writes) {
      const error = failure ?? refusals.get(write)
      if (error === undefined) write.settle()
      else write.fail(error)
    }
  }

  /**
   * Runs `work` as one transaction of its own; it says whether it wrote anything. Answers what it failed with: then
   * nothing of it is there.
   */
  transaction(work: () => boolean): Error | undefined {
    const { sql, onOutcome, failure } = this.#options
    try {
      // There where it could not be taken back the last time.
      this.#rollBack()
      sql.of('begin').run()
      const wrote = work()
      sql.of('commit').run()
      if (wrote) onOutcome(undefined)
      return undefined
    } catch (error) {
      onOutcome(error)
      try {
        this.#rollBack()
      } catch (rollbackError) {
        onOutcome(rollbackError)
      }
      return failure(error)
    }
  }

  /** Writes nothing until the answer is called. */
  pause(): () => void {
    this.#paused += 1
    return () => {
      this.#paused -= 1
      this.#schedule()
    }
  }

  /** Writes all that waits, and takes no more. */
  close(): void {
    this.#closed = true
    while (!this.isEmpty) this.flush()
    clearImmediate(this.#scheduled)
  }

  /** The engine takes some transactions back by itself. */
  #rollBack(): void {
    const { sql, isInTransaction } = this.#options
    if (isInTransaction()) sql.of('rollback').run()
  }

  #schedule(): void {
    if (this.#scheduled !== undefined || this.isEmpty || this.#paused > 0) return
    this.#scheduled = setImmediate(() => {
      this.#scheduled = undefined
      if (this.#paused > 0) return
      this.flush()
      this.#schedule()
    })
  }

  #next(): readonly Write[] {
    let rows = 0
    let count = 0
    for (const write of this.#waiting) {
      if (count > 0 && rows + write.rows > MAX_ROWS) break
      rows += write.rows
      count += 1
    }
    const writes = count === this.#waiting.length ? this.#waiting : this.#waiting.slice(0, count)
    this.#waiting = count === this.#waiting.length ? [] : this.#waiting.slice(count)
    this.#waitingRows -= rows
    return writes
  }
}
