import { StoreUnavailableError } from '../log-error.ts'
import type { Statements } from './statements.ts'

/** Rows that one transaction takes, unless a single call has more. */
const MAX_ROWS = 512
/** The same in bytes, roughly. */
const MAX_BYTES = 4_194_304
/** Bytes that wait at most; what comes beyond them is refused. */
const MAX_WAITING_BYTES = 67_108_864

/** One call's part of a transaction. */
export interface Write {
  readonly rows: number
  /** What it takes in memory and on the disk, roughly. */
  readonly bytes: number
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
  /** Told of each transaction that came to nothing. */
  readonly onFailed: (error: unknown) => void
  /** Told of each transaction that wrote something. */
  readonly onCommitted: (bytes: number) => void
  /** Told, of each transaction of what waited, how long the first of it did until it was stored, in ms. */
  readonly onStored?: ((tookMs: number) => void) | undefined
}

/**
 * What is to be written, one transaction for each turn of the event loop: calls that come together share the cost
 * of one, across all logs, in the order in which they came.
 */
export class WriteQueue {
  readonly #options: WriteQueueOptions
  #waiting: Write[] = []
  #waitingBytes = 0
  // By `performance.now()`: since when the first of those that wait does.
  #waitingSinceMs = 0
  #scheduled: NodeJS.Immediate | undefined
  #paused: PromiseWithResolvers<void> | undefined
  #stopped: Error | undefined
  #failed = false

  constructor(options: WriteQueueOptions) {
    this.#options = options
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  get isPaused(): boolean {
    return this.#paused !== undefined
  }

  /** Whether it was stopped, as the disk failed. */
  get failed(): boolean {
    return this.#failed
  }

  add(write: Write): void {
    if (this.#stopped !== undefined) {
      write.fail(this.#stopped)
      return
    }
    if (this.#waitingBytes > 0 && this.#waitingBytes + write.bytes > MAX_WAITING_BYTES) {
      write.fail(new StoreUnavailableError('more comes than the disk takes; send less, or use a faster disk'))
      return
    }
    if (this.isEmpty) this.#waitingSinceMs = performance.now()
    this.#waiting.push(write)
    this.#waitingBytes += write.bytes
    this.#schedule()
  }

  /** Writes what one transaction takes of what waits. */
  flush(): void {
    const sinceMs = this.#waitingSinceMs
    const writes = this.#next()
    const refusals = new Map<Write, Error>()
    if (writes.length === 0) return
    const failure = this.transaction(() => {
      let bytes = 0
      for (const write of writes) {
        const refusal = write.write()
        if (refusal === undefined) bytes += write.bytes
        else refusals.set(write, refusal)
      }
      return bytes
    })
    if (failure === undefined) this.#options.onStored?.(performance.now() - sinceMs)
    else for (const write of writes) write.rollBack()
    for (const write of writes) {
      const error = failure ?? refusals.get(write)
      if (error === undefined) write.settle()
      else write.fail(error)
    }
    // Whoever tries again what failed here does so behind what it asked for later, had that been let through.
    if (failure instanceof StoreUnavailableError) this.#failWaiting(failure)
  }

  /**
   * Runs `work` as one transaction of its own; it says how many bytes it wrote, roughly. Answers what it failed with:
   * then nothing of it is there.
   */
  transaction(work: () => number): Error | undefined {
    const { sql, onFailed, onCommitted, failure } = this.#options
    if (this.#stopped !== undefined) return this.#stopped
    let bytes = 0
    try {
      // There where it could not be taken back the last time.
      this.#rollBack()
      sql.of('begin').run()
      bytes = work()
      sql.of('commit').run()
    } catch (error) {
      onFailed(error)
      try {
        this.#rollBack()
      } catch (rollbackError) {
        onFailed(rollbackError)
      }
      return failure(error)
    }
    if (bytes > 0) onCommitted(bytes)
    return undefined
  }

  /** Writes nothing until the answer is called. */
  pause(): () => void {
    this.#paused = Promise.withResolvers<void>()
    return () => {
      this.#paused?.resolve()
      this.#paused = undefined
      this.#schedule()
    }
  }

  /** Answers once something can be written. */
  async ready(): Promise<void> {
    await this.#paused?.promise
  }

  /** Writes nothing any more, as what is stored could be lost by it. */
  stop(error: StoreUnavailableError): void {
    this.#failed = true
    this.#options.onFailed(error)
    this.#refuseAll(error)
  }

  /** Writes all that waits, and takes no more. */
  close(): void {
    while (!this.isEmpty && this.#stopped === undefined) this.flush()
    this.#refuseAll(new StoreUnavailableError('the store is closed'))
  }

  #refuseAll(error: Error): void {
    this.#stopped ??= error
    clearImmediate(this.#scheduled)
    this.#failWaiting(this.#stopped)
    this.#paused?.resolve()
  }

  #failWaiting(error: Error): void {
    this.#waitingBytes = 0
    for (const write of this.#waiting.splice(0)) write.fail(error)
  }

  /** The engine takes some transactions back by itself. */
  #rollBack(): void {
    const { sql, isInTransaction } = this.#options
    if (isInTransaction()) sql.of('rollback').run()
  }

  #schedule(): void {
    if (this.#scheduled !== undefined || this.isEmpty || this.#paused !== undefined) return
    this.#scheduled = setImmediate(() => {
      this.#scheduled = undefined
      if (this.#paused !== undefined) return
      this.flush()
      this.#schedule()
    })
  }

  #next(): readonly Write[] {
    let rows = 0
    let bytes = 0
    let count = 0
    for (const write of this.#waiting) {
      const isFull = rows + write.rows > MAX_ROWS || bytes + write.bytes > MAX_BYTES
      if (count > 0 && isFull) break
      rows += write.rows
      bytes += write.bytes
      count += 1
    }
    const writes = count === this.#waiting.length ? this.#waiting : this.#waiting.slice(0, count)
    this.#waiting = count === this.#waiting.length ? [] : this.#waiting.slice(count)
    this.#waitingBytes -= bytes
    return writes
  }
}
