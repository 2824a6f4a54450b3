import {
  type Append,
  type EventLog,
  LogClosedError,
  type LogEntry,
  StaleEpochError,
} from '@tributary/eventlog'
import type { Clock, NewEvent } from '@tributary/protocol'
import { PatientLog } from './patient-log.ts'
import type { Attributes } from './run-attributes.ts'
import type { RunSuspendedError } from './run-error.ts'

export interface RunWritesOptions {
  readonly log: EventLog
  readonly clock: Clock
  /** Of its executor: those of an earlier one are refused. */
  readonly epoch: number
  /** Called where another has the run, or has ended it. */
  readonly onTaken: () => void
}

/** What the executor of a run appends to its log, in order. */
export class RunWrites {
  readonly #log: PatientLog
  readonly #epoch: number
  #isEnding = false

  constructor({ log, clock, epoch, onTaken }: RunWritesOptions) {
    this.#epoch = epoch
    this.#log = new PatientLog(log, clock, (error) => {
      const isTaken = error instanceof StaleEpochError
      const isEndedElsewhere = error instanceof LogClosedError && !this.#isEnding
      if (isTaken || isEndedElsewhere) onTaken()
    })
  }

  /** There while the store refuses. */
  get stall(): Promise<void> | undefined {
    return this.#log.stall
  }

  /** @throws as `EventLog.append`, and what it was given up with. */
  async append(event: NewEvent, attributes?: Attributes): Promise<LogEntry> {
    const [entry] = await this.#write([{ event }], attributes)
    if (entry === undefined) throw new Error('the log answered an append with nothing')
    return entry
  }

  /** All of them or none, in this order. */
  async appendAll(events: readonly NewEvent[], attributes?: Attributes): Promise<void> {
    const batch = events.map((event) => ({ event }))
    await this.#write(batch, attributes)
  }

  /** Changes attributes alone. */
  async note(attributes: Attributes): Promise<void> {
    await this.#write([], attributes)
  }

  /** Appends the terminal event. May be called again where that failed. */
  close(terminal: NewEvent, attributes: Attributes): Promise<void> {
    this.#isEnding = true
    return this.#log.close({ event: terminal }, { attributes, epoch: this.#epoch })
  }

  /** Appends nothing from now on. */
  giveUp(reason: RunSuspendedError): void {
    this.#log.giveUp(reason)
  }

  #write(batch: readonly Append[], attributes?: Attributes): Promise<readonly LogEntry[]> {
    const epoch = this.#epoch
    return this.#log.append(batch, attributes === undefined ? { epoch } : { epoch, attributes })
  }
}
