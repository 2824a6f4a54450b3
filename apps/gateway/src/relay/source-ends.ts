import { faultOf, isTaskErrorCode, type RunEvents, type TaskFailure } from '@tributary/protocol'
import type { Run, RunOutcome } from '@tributary/runs'
import { type Source, SourceError } from './source.ts'
import type { RecordedSource, SourceEnd, SourceRecord } from './source-record.ts'

/** How the sources of a run have ended: each is told once, also where the run ends before its source has stopped. */
export class SourceEnds {
  readonly #run: Run
  readonly #records: ReadonlyMap<Source, SourceRecord>
  readonly #ends = new Map<Source, SourceEnd>()

  constructor(run: Run, sources: readonly RecordedSource[]) {
    this.#run = run
    this.#records = new Map(sources.map(({ source, record }) => [source, record]))
    for (const { source, record } of sources) if (record.end !== undefined) this.#ends.set(source, record.end)
    if (this.#ends.size > 0) this.#count()
    run.settleWith((error, code) => {
      // Where they cannot be stored either, the run says how many there are.
      for (const { source } of sources) this.fail(source, new SourceError(code, error)).catch(() => undefined)
      return this.outcome
    })
  }

  has(source: Source): boolean {
    return this.#ends.has(source)
  }

  /** What the run came to, as far as its sources have ended. */
  get outcome(): RunOutcome {
    const errors = this.#failures
    return {
      totalTasks: this.#records.size,
      successCount: this.#ends.size - errors.length,
      errorCount: errors.length,
      errors,
    }
  }

  /** Resolves once it is stored. */
  async complete(source: Source, said: RunEvents['source_complete']): Promise<void> {
    const attributes = this.#end(source, {})
    if (attributes === undefined) return
    try {
      await this.#run.emit('source_complete', said, attributes)
    } catch (error) {
      // Then it has not ended so.
      this.#ends.delete(source)
      throw error
    }
  }

  /** Resolves once it is stored. */
  async fail(source: Source, { code, message }: SourceError): Promise<void> {
    const { name } = source
    const attributes = this.#end(source, { failure: { taskId: name, error: message, code: taskCode(code) } })
    if (attributes === undefined) return
    const told = { source: name, error: message, code, ...faultOf(code) }
    await this.#run.emit('source_error', told, attributes)
  }

  get #failures(): TaskFailure[] {
    return [...this.#ends.values()].flatMap(({ failure }) => failure ?? [])
  }

  /** Answers what is stored with it; `undefined` where it has ended before. */
  #end(source: Source, end: SourceEnd): Readonly<Record<string, string | null>> | undefined {
    if (this.#ends.has(source)) return undefined
    this.#ends.set(source, end)
    this.#count()
    return this.#records.get(source)?.ended(end)
  }

  #count(): void {
    const { successCount, errorCount } = this.outcome
    this.#run.count({ successCount, errorCount })
  }
}

/** A source counts as a task of its run; a failure that is no task's is one of its upstream. */
function taskCode(code: SourceError['code']): TaskFailure['code'] {
  return isTaskErrorCode(code) ? code : 'task_failed'
}
