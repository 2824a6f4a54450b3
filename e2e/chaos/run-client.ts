import { setTimeout as delay } from 'node:timers/promises'
import { openStream, StreamError } from '@tributary/client'
import { FinalRunStatus } from '@tributary/protocol'
import { Value } from 'typebox/value'
import type { RunRecord } from './ledger.ts'
import { fieldOf } from './run-check.ts'
import type { RunPlan } from './run-plan.ts'
import { RunReader } from './run-reader.ts'
import type { SeededRandom } from './seeded-random.ts'

export interface RunClientOptions {
  readonly plan: RunPlan
  /** The gateway as readers reach it, and the worker. */
  readonly gatewayUrl: string
  readonly workerUrl: string
  /** Whether a worker that was asked for a cancel has ended its calls once that is answered. */
  readonly cancelEndsCalls: boolean
  /** Where starts and cancels go, which may take another way than readers. */
  readonly startUrl: string
  readonly token: string
  readonly heartbeatMs: number
  readonly random: SeededRandom
}

const RETRY_MS = 100
/** How long a request that is answered at once may take, in ms. */
const REQUEST_MS = 5_000
/** After the end; gateways believe for 2 s in what they have read of a worker's run. */
const LATE_MS = 2_500
/** How many starts are sent again though they were answered. */
const DOUBTS = 0.3

/** Starts a run, and reads it: from its start through all that happens, with hang-ups, and once more when it is over. */
export class RunClient {
  readonly #options: RunClientOptions
  readonly #readers: RunReader[] = []
  readonly #runIds = new Set<string>()
  readonly #resultSeenAtMs = new Map<string, number>()
  readonly #faults: string[] = []
  #status: string | undefined
  #statusBefore: string | undefined
  #isCancelled = false
  #callsEndedAtMs: number | undefined
  #isCancelAsked = false

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
    return this.#faults.map((fault) => `${this.name}: ${fault}`)
  }

  /** Whether it was answered that there is no such run, though there was. */
  get isGone(): boolean {
    return this.#faults.some((fault) => fault.includes('"run_not_found"'))
  }

  get record(): RunRecord {
    const { key, kind, taskIds, mustSucceed, sources } = this.#options.plan
    return {
      key,
      kind,
      runIds: this.#runIds,
      taskIds,
      mustSucceed,
      sources,
      readings: this.#readers,
      resultSeenAtMs: this.#resultSeenAtMs,
      status: this.#status,
      statusBefore: this.#statusBefore,
      isCancelAsked: this.#isCancelAsked,
      isCancelled: this.#isCancelled,
      callsEndedAtMs: this.#callsEndedAtMs,
    }
  }

  /** Resolves once every reading is complete, or after a fault, or at the signal: then `faults` says what is missing. */
  async run(signal: AbortSignal): Promise<void> {
    const { plan, gatewayUrl, workerUrl, random } = this.#options
    const started = Promise.withResolvers<string | undefined>()
    const first = this.#read('its starter', (reader) => this.#start(reader, started.resolve, signal))
    const runId = await Promise.race([started.promise, first.then(() => undefined)])
    if (runId === undefined) return
    const path = `/api/runs/${runId}/events`
    const hangUpAfter = () => random.int(1, 6)
    const doubts = random.chance(DOUBTS)
    await Promise.all([
      first,
      this.#read('who keeps hanging up', (to) => to.follow(gatewayUrl + path, signal, hangUpAfter)),
      plan.isWorkers && this.#read('a reader at the worker', (to) => to.follow(workerUrl + path, signal)),
      doubts && this.#startAgain(signal),
      plan.cancelAfterMs !== undefined && this.#cancel(runId, plan.cancelAfterMs, signal),
    ])
    if (plan.isWorkers) await delay(LATE_MS)
    await Promise.all([
      this.#read('a late reader', (to) => to.follow(gatewayUrl + path, signal), true),
      plan.isWorkers &&
        this.#read('a late reader at the worker', (to) => to.follow(workerUrl + path, signal), true),
    ])
    this.#status = await this.#askStatus(runId, signal)
  }

  async #read(name: string, read: (reader: RunReader) => Promise<void>, isLate = false): Promise<void> {
    const { token, heartbeatMs } = this.#options
    const reader = new RunReader({
      reader: name,
      isLate,
      token,
      heartbeatMs,
      onResult: (taskId) => {
        if (!this.#resultSeenAtMs.has(taskId)) this.#resultSeenAtMs.set(taskId, performance.now())
      },
    })
    this.#readers.push(reader)
    try {
      await read(reader)
    } catch (error) {
      this.#faults.push(`${name} got ${reader.events.length} events: ${describe(error)}`)
    }
  }

  /** Sends the start until it is answered, under one key; reads the answer, and goes on where it breaks off. */
  async #start(reader: RunReader, onRunId: (runId: string) => void, signal: AbortSignal): Promise<void> {
    const { plan, gatewayUrl, workerUrl, random } = this.#options
    let runId: string | undefined
    while (runId === undefined) {
      try {
        const stream = await this.#post(signal)
        runId = this.#noteRunId(stream.headers)
        onRunId(runId)
        await reader.take(stream.events)
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof StreamError) || !(error.retryable || error.status === 409)) throw error
        await delay(random.int(RETRY_MS, 3 * RETRY_MS))
      }
    }
    const url = plan.at === 'gateway' ? gatewayUrl : workerUrl
    await reader.follow(`${url}/api/runs/${runId}/events`, signal)
  }

  /** Sends the start once more, as a client that never saw the answer: it is the same run. */
  async #startAgain(signal: AbortSignal): Promise<void> {
    const hangUp = new AbortController()
    try {
      const stream = await this.#post(AbortSignal.any([signal, hangUp.signal]))
      this.#noteRunId(stream.headers)
    } catch (error) {
      if (signal.aborted || (error instanceof StreamError && error.retryable)) return
      this.#faults.push(`its start, sent again, was refused: ${describe(error)}`)
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

  /** Cancels the run, until that is answered. */
  async #cancel(runId: string, afterMs: number, signal: AbortSignal): Promise<void> {
    await delay(afterMs)
    this.#isCancelAsked = true
    const answer = await this.#ask('POST', `/api/runs/${runId}/cancel`, signal)
    this.#isCancelled = answer !== undefined && fieldOf({ data: answer }, 'cancelled') === true
    const { plan, cancelEndsCalls } = this.#options
    if (this.#isCancelled && plan.isWorkers && cancelEndsCalls) this.#callsEndedAtMs = performance.now()
  }

  /** Of a run whose end a failover has lost a moment ago it is said only when that has been put back. */
  async #askStatus(runId: string, signal: AbortSignal): Promise<string | undefined> {
    for (;;) {
      const view = await this.#ask('GET', `/api/runs/${runId}`, signal)
      const status = view === undefined ? undefined : String(fieldOf({ data: view }, 'status'))
      if (status === undefined || Value.Check(FinalRunStatus, status) || signal.aborted) return status
      if (status !== 'unreachable') this.#statusBefore ??= status
      await delay(RETRY_MS)
    }
  }

  /** Asks the gateway until it answers. `undefined` where it refuses. */
  async #ask(method: 'GET' | 'POST', path: string, signal: AbortSignal): Promise<string | undefined> {
    const { startUrl, token } = this.#options
    while (!signal.aborted) {
      try {
        const limit = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)])
        const answer = await fetch(startUrl + path, { method, headers: bearer(token), signal: limit })
        const text = await answer.text()
        if (answer.status === 200) return text
        if (answer.status < 500) {
          this.#faults.push(`${method} ${path} was answered ${answer.status} ${text}`)
          return undefined
        }
      } catch {
        // It is asked again.
      }
      await delay(RETRY_MS)
    }
    return undefined
  }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

function describe(error: unknown): string {
  if (error instanceof StreamError) {
    return [error.message, error.body, error.cause].filter((part) => part !== undefined).join('; ')
  }
  return error instanceof Error ? error.message : String(error)
}
