import { readStream, type StreamPart } from '@tributary/client'
import { isRewind, numberOf, type RunEventRecord, type RunReading } from './ledger.ts'
import { fieldOf } from './run-check.ts'

export interface RunReaderOptions {
  /** Who reads, for whoever reads a violation. */
  readonly reader: string
  /** Whether it comes when others have read the end. */
  readonly isLate: boolean
  readonly token: string
  readonly heartbeatMs: number
  /** Called with each task that came to a result, good or bad. */
  onResult(taskId: string): void
}

const RETRY_MS = 100
/** Half a minute, as by default, would only make rounds long. */
const MAX_RETRY_MS = 1_000
const RESULTS = new Set(['task_complete', 'task_error'])
const CONTROL = new Set(['connection', 'heartbeat', 'disconnected', 'source_unavailable'])

/** Reads a run to its end, however often it has to come back, and keeps what it got. */
export class RunReader implements RunReading {
  readonly reader: string
  readonly isLate: boolean
  readonly events: RunEventRecord[] = []
  readonly gaps: string[] = []
  #rewinds = 0
  #stepsBack = 0
  readonly #options: RunReaderOptions
  #cursor: string | undefined

  constructor(options: RunReaderOptions) {
    this.reader = options.reader
    this.isLate = options.isLate
    this.#options = options
  }

  get isComplete(): boolean {
    return this.events.at(-1)?.type === 'complete'
  }

  /** Reads an answer as far as it goes. */
  async take(parts: AsyncIterable<StreamPart>): Promise<void> {
    for await (const part of parts) {
      if ('id' in part) this.#moveTo(part.id)
      else if ('event' in part) this.#note(part.event)
      if (this.isComplete) return
    }
  }

  /** Reads from where it stands to the end; hangs up `after` so many events, where that is given, again and again. */
  async follow(url: string, signal: AbortSignal, after?: () => number): Promise<void> {
    let refusals = 0
    while (!this.isComplete) {
      let left = after?.() ?? Number.POSITIVE_INFINITY
      const events = readStream({
        url,
        fetch,
        headers: { authorization: `Bearer ${this.#options.token}` },
        signal,
        retryMs: RETRY_MS,
        maxRetryMs: MAX_RETRY_MS,
        heartbeatMs: this.#options.heartbeatMs,
        lastEventId: this.#cursor,
        onId: (id) => this.#moveTo(id),
      })
      for await (const event of events) {
        if (this.#note(event)) left -= 1
        if (this.isComplete || left <= 0) break
      }
      if (this.isComplete || left <= 0) continue
      refusals += 1
      if (refusals > 1) throw new Error('the server says that there is no more')
    }
  }

  /** An id that goes back would have events come twice after the next drop; but where the log itself did. */
  get isSentBack(): boolean {
    return this.#stepsBack > this.#rewinds
  }

  #moveTo(id: string): void {
    if (this.#cursor !== undefined && numberOf(id) < numberOf(this.#cursor)) this.#stepsBack += 1
    this.#cursor = id
  }

  /** Where the log has lost what came, that is read anew. */
  #noteGap(data: string): void {
    this.gaps.push(data)
    if (!isRewind({ reason: String(fieldOf({ data }, 'reason')) })) return
    this.#rewinds += 1
    const keptN = numberOf(String(fieldOf({ data }, 'to')))
    const first = this.events.findIndex(({ id: each }) => numberOf(each) > keptN)
    if (first >= 0) this.events.splice(first)
  }

  /** Notes an event, and answers whether it was one of the log. */
  #note({
    id = '',
    type,
    data,
  }: {
    readonly id?: string
    readonly type: string
    readonly data: string
  }): boolean {
    if (type === 'gap') this.#noteGap(data)
    if (type === 'gap' || CONTROL.has(type)) return false
    const record = { id, type: standardName(type, data), data }
    this.events.push(record)
    const isResult = RESULTS.has(record.type) && fieldOf(record, 'code') !== 'cancelled'
    const taskId = isResult ? fieldOf(record, 'taskId') : undefined
    if (typeof taskId === 'string') this.#options.onResult(taskId)
    return true
  }
}

/** The routes for existing clients call a failed task `error`. */
function standardName(type: string, data: string): string {
  return type === 'error' && fieldOf({ data }, 'taskId') !== undefined ? 'task_error' : type
}
