import type { EventLog, Following, LogEntry } from '@tributary/eventlog'
import { COMPLETE, CompleteData, type RunStatus } from '@tributary/protocol'
import { Compile } from 'typebox/compile'
import type { KnownRun } from './known-run.ts'
import type { ReaderMarks } from './reader-marks.ts'
import { RecordedRun } from './recorded-run.ts'
import type { RunRecord } from './run-record.ts'

const complete = Compile(CompleteData)

export interface DistantRunOptions {
  readonly runId: string
  readonly record: RunRecord
  readonly lastEventId: string | undefined
  /** Whether the node that executes it is away. Default: it is not. */
  readonly unreachable?: boolean
  readonly openLog: () => Promise<EventLog>
  /** Tell the node that executes it of readers here. */
  readonly marks: ReaderMarks
}

/** A run that another node executes, or that waits for one. It is as it was found; while it is held, its end is heard of. */
export class DistantRun extends RecordedRun implements KnownRun {
  readonly #options: DistantRunOptions
  readonly #ended = Promise.withResolvers<void>()
  #holds = 0
  #watched: Promise<Watched> | undefined

  constructor(options: DistantRunOptions) {
    super(options)
    this.#options = options
  }

  get status(): RunStatus {
    const { ended, epoch } = this.record
    if (ended !== undefined) return ended.status
    if (epoch === 0) return 'accepted'
    return this.#options.unreachable ? 'unreachable' : 'running'
  }

  /** Resolves only while it is held. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** @throws StoreUnavailableError where it cannot be read now. */
  async openLog(): Promise<EventLog> {
    if (this.#watched === undefined) return this.#options.openLog()
    const { log, following } = await this.#watched
    await following.ready
    return log
  }

  /** Notes a reader, and has the log followed for as long as there is one. */
  hold(): () => void {
    this.#holds += 1
    this.#watched ??= this.#watch()
    this.#watched.catch(() => undefined)
    const { marks, openLog } = this.#options
    const unmark = this.record.onDisconnect === 'cancel' ? marks.hold(this.id, openLog) : undefined
    let held = true
    return () => {
      if (!held) return
      held = false
      unmark?.()
      this.#holds -= 1
      if (this.#holds > 0) return
      this.#watched?.then(
        ({ end }) => end(),
        () => undefined,
      )
      this.#watched = undefined
    }
  }

  async #watch(): Promise<Watched> {
    const log = await this.#options.openLog()
    const untail = log.tail((entry) => this.#note(entry))
    const following = log.follow()
    const noteEnd = async () => {
      await following.ready
      // It may have ended before anybody listened.
      if (!log.closed) return
      const { entries } = await log.read(log.head.n - 1)
      for (const entry of entries) this.#note(entry)
    }
    noteEnd().catch(() => undefined)
    return {
      log,
      following,
      end: () => {
        untail()
        following.end()
      },
    }
  }

  #note({ event }: LogEntry): void {
    this.lastEventId = event.id
    if (event.type !== COMPLETE || !complete.Check(event.data)) return
    const { status, totalTasks, successCount, errorCount } = event.data
    const ended = { at: event.timestamp, status }
    this.record = { ...this.record, totalTasks, successCount, errorCount, ended }
    this.#ended.resolve()
  }
}

interface Watched {
  readonly log: EventLog
  readonly following: Following
  readonly end: () => void
}
