import type { AppendRequest, LogWriter, Written } from './log-writer.ts'
import type { Write } from './write-queue.ts'

/** What a row takes beside its data, roughly, in bytes. */
const ROW_BYTES = 100

/** A log that is appended to. */
export interface AppendTarget {
  readonly writer: LogWriter
  /** Takes note of what is stored now, and tells it. */
  apply(request: AppendRequest, written: Written): void
  /** Goes back to what is stored. */
  rollBack(): void
}

/** One call's append, until it is stored or refused. */
export class AppendWrite<T> implements Write {
  readonly rows: number
  readonly bytes: number
  readonly #target: AppendTarget
  readonly #request: AppendRequest
  readonly #resolve: (answer: T) => void
  readonly #answer: (written: Written) => T
  readonly fail: (error: unknown) => void
  #written: Written | undefined

  /** Calls `resolve` with `answer` to what was written, or else `fail`. */
  constructor(
    target: AppendTarget,
    request: AppendRequest,
    answer: (written: Written) => T,
    resolve: (answer: T) => void,
    fail: (error: unknown) => void,
  ) {
    let bytes = ROW_BYTES
    for (const { entry } of request.drafts) bytes += ROW_BYTES + entry.json.length
    this.rows = Math.max(1, request.drafts.length)
    this.bytes = bytes
    this.#target = target
    this.#request = request
    this.#answer = answer
    this.#resolve = resolve
    this.fail = fail
  }

  write(): Error | undefined {
    const answer = this.#target.writer.write(this.#request)
    if (answer instanceof Error) return answer
    this.#written = answer
    return undefined
  }

  settle(): void {
    if (this.#written === undefined) return
    try {
      this.#target.apply(this.#request, this.#written)
      this.#resolve(this.#answer(this.#written))
    } catch (error) {
      this.fail(error)
    }
  }

  rollBack(): void {
    this.#target.rollBack()
  }
}
