import type { LogEntry } from '@tributary/eventlog'
import type { RunEvents, RunEventType } from '@tributary/protocol'
import type { Run } from './run.ts'
import type { Attributes } from './run-attributes.ts'

/** Appends the events of a run's tasks in order, without anyone waiting for each; the end waits for them all. */
export class BoardEvents {
  readonly #run: Run
  #appending = 0
  #failure: { readonly error: unknown } | undefined
  #flushed: (() => void) | undefined
  /** For the next event. */
  #attributes: Attributes | undefined

  constructor(run: Run) {
    this.#run = run
  }

  /** Changes the run's attributes together with the next event that is appended. */
  note(attributes: Attributes): void {
    this.#attributes = { ...this.#attributes, ...attributes }
  }

  append<T extends Exclude<RunEventType, 'complete'>>(type: T, data: RunEvents[T]): Promise<LogEntry> {
    return this.#track(this.#run.emit(type, data, this.#takeAttributes()))
  }

  /** The same, from the JSON of its data. */
  appendJson(type: Exclude<RunEventType, 'complete'>, json: string): Promise<LogEntry> {
    return this.#track(this.#run.emitJson(type, json, this.#takeAttributes()))
  }

  /** Waits until all that was appended stands. @throws what the first that failed failed with. */
  async flush(): Promise<void> {
    if (this.#appending > 0) await new Promise<void>((resolve) => (this.#flushed = resolve))
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #takeAttributes(): Attributes | undefined {
    const attributes = this.#attributes
    this.#attributes = undefined
    return attributes
  }

  #track(appending: Promise<LogEntry>): Promise<LogEntry> {
    this.#appending += 1
    appending.then(this.#onAppended, this.#onFailed)
    return appending
  }

  readonly #onAppended = (): void => {
    this.#appending -= 1
    if (this.#appending === 0) this.#flushed?.()
  }

  readonly #onFailed = (error: unknown): void => {
    this.#failure ??= { error }
    this.#onAppended()
  }
}
