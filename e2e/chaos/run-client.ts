import { setTimeout as delay } from 'node:timers/promises'
import { openStream, readStream, StreamError } from '@tributary/client'
import { numberOf, type RunEventRecord, type RunRecord } from './ledger.ts'
import { fieldOf } from './run-check.ts'
import type { RunPlan } from './run-plan.ts'
import type { SeededRandom } from './seeded-random.ts'

export interface RunClientOptions {
  readonly plan: RunPlan
  /** The gateway as readers reach it, and the worker. */
  readonly gatewayUrl: string
  readonly workerUrl: string
  /** Where starts go, which may take another way than readers. */
  readonly startUrl: string
  readonly token: string
  readonly heartbeatMs: number
  readonly random: SeededRandom
}

const RETRY_MS = 100
const FINAL = new Set(['task_complete', 'task_error'])
const CONTROL = new Set(['connection', 'heartbeat', 'disconnected', 'source_unavailable'])

/** Starts a run, and reads it: from its start through all that happens, with hang-ups, and once more when it is over. */
export class RunClient {
  readonly #options: RunClientOptions
  readonly #readings: Reading[] = []
  readonly #runIds = new Set<string>()
  readonly #finalSeenAtMs = new Map<string, number>()
  readonly #faults: string[] = []
  #status: string | undefined

  constructor(options: RunClientOptions) {
    this.#options = options
  }

  /** With all that it is found by. */
  get name(): string {
    const { key, kind } = this.#options.plan
    return `${kind} run ${[...this.#runIds].join('/') || '(without id)'} (${key})`
  }

  /** What could not be done. */
  get faults(): readonly string[] {
    return this.#faults
  }

  get record(): RunRecord {
    const { key, kind, taskIds, sources } = this.#options.plan
    return {
      key,
      kind,
      runIds: this.#runIds,
      taskIds,
      sources,
      readings: this.#readings,
      finalSeenAtMs: this.#finalSeenAtMs,
      status: this.#status,
    }
  }

  /** Resolves once every reading is complete, or after a fault, or at the signal: then `faults` says what is missing. */
  async run(signal: AbortSignal): Promise<void> {
    const { plan, gatewayUrl, workerUrl, random } = this.#options
    const known = Promise.withResolvers<string | undefined>()
    const first = this.#begin('its starter', async (reading) => {
      try {
        await this.#start(reading, known.resolve, signal)
      } finally {
        known.resolve(undefined)
      }
    })
    const runId = await known.promise
    if (runId === undefined) return void (await first)
    const path = `/api/runs/${runId}/events`
    const hangUpAfter = () => random.int(1, 6)
    await Promise.all([
      first,
      this.#begin('who keeps hanging up', (to) => this.#read(gatewayUrl + path, to, signal, hangUpAfter)),
      ...(plan.isWorkers
        ? [this.#begin('a reader at the worker', (to) => this.#read(workerUrl + path, to, signal))]
        : []),
      ...(random.chance(0.3) ? [this.#startAgain(signal)] : []),
    ])
    const late = [gatewayUrl, ...(plan.isWorkers ? [workerUrl] : [])]
    await Promise.all(
      late.map((url) => this.#begin(`a late reader at ${url}`, (to) => this.#read(url + path, to, signal))),
    )
    this.#status = await this.#statusOf(runId, signal)
  }

  async #begin(reader: string, read: (reading: Reading) => Promise<void>): Promise<void> {
    const reading = new Reading(reader)
    this.#readings.push(reading)
    try {
      await read(reading)
    } catch (error) {
      this.#faults.push(`${this.name}: ${reader} got ${reading.events.length} events: ${describe(error)}`)
    }
  }

  /** Sends the start until it is answered, under one key; reads the answer, and goes on where it breaks off. */
  async #start(reading: Reading, onRunId: (runId: string) => void, signal: AbortSignal): Promise<void> {
    let runId: string | undefined
    while (runId === undefined) {
      try {
        const stream = await this.#post(signal)
        runId = this.#noteRunId(stream.headers)
        onRunId(runId)
        for await (const part of stream.events) {
          if ('id' in part) this.#moveTo(reading, part.id)
          if ('event' in part) this.#take(reading, part.event)
          if (reading.isComplete) return
        }
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof StreamError) || !(error.retryable || error.status === 409)) throw error
        await delay(this.#options.random.int(RETRY_MS, 3 * RETRY_MS))
      }
    }
    await this.#read(this.#readUrl(runId), reading, signal)
  }

  #readUrl(runId: string): string {
    const { plan, gatewayUrl, workerUrl } = this.#options
    return `${plan.at === 'gateway' ? gatewayUrl : workerUrl}/api/runs/${runId}/events`
  }

  /** Sends the start once more, as a client that never saw the answer: it is the same run. */
  async #startAgain(signal: AbortSignal): Promise<void> {
    const hangUp = new AbortController()
    try {
      const stream = await this.#post(AbortSignal.any([signal, hangUp.signal]))
      this.#noteRunId(stream.headers)
    } catch (error) {
      if (signal.aborted || (error instanceof StreamError && error.retryable)) return
      this.#faults.push(`${this.name}: its start, sent again, was refused: ${describe(error)}`)
    } finally {
      hangUp.abort()
    }
  }

  async #post(signal: AbortSignal) {
    const { plan, startUrl, workerUrl, token } = this.#options
    const stream = await openStream({
      url: (plan.at === 'gateway' ? startUrl : workerUrl) + plan.path,
      fetch,
      method: 'POST',
      headers: { ...bearer(token), 'content-type': 'application/json', 'idempotency-key': plan.key },
      body: JSON.stringify(plan.body),
      signal,
    })
    if (stream === undefined) throw new Error('the start was answered 204')
    return stream
  }

  #noteRunId(headers: { get(name: string): string | null }): string {
    const runId = headers.get('run-id')
    if (runId === null) throw new Error('the answer to the start has no Run-Id')
    this.#runIds.add(runId)
    return runId
  }

  /** Reads from where the reading stands to the end; `hangUpAfter` so many events, where that is given, again and again. */
  async #read(url: string, reading: Reading, signal: AbortSignal, hangUpAfter?: () => number): Promise<void> {
    const { token, heartbeatMs } = this.#options
    let gone = 0
    while (!reading.isComplete) {
      const { cursor } = reading
      let left = hangUpAfter?.() ?? Number.POSITIVE_INFINITY
      const events = readStream({
        url,
        fetch,
        headers: bearer(token),
        signal,
        retryMs: RETRY_MS,
        maxRetryMs: 1_000,
        heartbeatMs,
        ...(cursor === undefined ? {} : { lastEventId: cursor }),
        onId: (id) => this.#moveTo(reading, id),
      })
      for await (const event of events) {
        if (this.#take(reading, event)) left -= 1
        if (reading.isComplete || left <= 0) break
      }
      // A stream that ends for good without the end of its run; once may be a race with its hanging up.
      if (left > 0 && !reading.isComplete && ++gone > 1) throw new Error(`the server says there is no more`)
    }
  }

  /** Notes an event, and answers whether it was one of the log. */
  #take(
    reading: Reading,
    event: { readonly id?: string; readonly type: string; readonly data: string },
  ): boolean {
    const { id = '', type, data } = event
    if (type === 'gap') reading.gaps.push(data)
    if (type === 'gap' || CONTROL.has(type)) return false
    const record = { id, type: standardName(type, data), data }
    reading.events.push(record)
    const taskId = FINAL.has(record.type) ? fieldOf(record, 'taskId') : undefined
    if (typeof taskId === 'string' && !this.#finalSeenAtMs.has(taskId)) {
      this.#finalSeenAtMs.set(taskId, performance.now())
    }
    return true
  }

  /** An id that goes back would have events come twice after the next drop. */
  #moveTo(reading: Reading, id: string): void {
    if (reading.cursor !== undefined && numberOf(id) < numberOf(reading.cursor)) {
      this.#faults.push(`${this.name}: ${reading.reader} was sent back from ${reading.cursor} to ${id}`)
    }
    reading.cursor = id
  }

  async #statusOf(runId: string, signal: AbortSignal): Promise<string | undefined> {
    const { gatewayUrl, token } = this.#options
    while (!signal.aborted) {
      try {
        const answer = await fetch(`${gatewayUrl}/api/runs/${runId}`, { headers: bearer(token), signal })
        const data = await answer.text()
        if (answer.status < 500) return String(fieldOf({ data }, 'status'))
      } catch {
        // It is asked again.
      }
      await delay(RETRY_MS)
    }
    return undefined
  }
}

class Reading {
  readonly reader: string
  readonly events: RunEventRecord[] = []
  readonly gaps: string[] = []
  cursor: string | undefined

  constructor(reader: string) {
    this.reader = reader
  }

  get isComplete(): boolean {
    return this.events.at(-1)?.type === 'complete'
  }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

/** The routes for existing clients call a failed task `error`. */
function standardName(type: string, data: string): string {
  return type === 'error' && fieldOf({ data }, 'taskId') !== undefined ? 'task_error' : type
}

function describe(error: unknown): string {
  if (error instanceof StreamError) {
    return [error.message, error.body, error.cause].filter((part) => part !== undefined).join('; ')
  }
  return error instanceof Error ? error.message : String(error)
}
