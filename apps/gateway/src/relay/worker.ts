import type { Fetch } from '@tributary/client'
import type { OutboundClient, WholeAnswer, WholeRequest } from '@tributary/outbound'
import { classifyError, requestWhole } from '@tributary/outbound'
import {
  ERROR_CODES,
  type ErrorCode,
  Problem,
  ProblemError,
  type TaskErrorCode,
  type WorkerInfo,
} from '@tributary/protocol'
import type { Asker, WorkerTokens } from '@tributary/service'
import { Compile } from 'typebox/compile'

const problem = Compile(Problem)

/** How long a worker that could not be reached is passed over, in ms, while others are there. */
const AVOID_MS = 2_000
/** A worker answers a control request at once, or is not there. */
const CONTROL_TIMEOUT_MS = 10_000

/** A worker that did not take a request, and has not begun it. */
export class WorkerUnreachableError extends Error {
  override readonly name = 'WorkerUnreachableError'
  readonly code = 'upstream_unavailable'
  readonly retryable = true

  constructor(url: string, cause?: unknown) {
    super(`The worker ${url} cannot be reached`, { cause })
  }
}

/** A worker that took a request, and answered in no time or broke off: what became of it is not known. */
export class WorkerSilentError extends ProblemError {}

/** Whether a worker is not there, or not able to answer. */
export function isAway(error: unknown): boolean {
  return error instanceof WorkerUnreachableError || error instanceof WorkerSilentError
}

// The request never left: it may go to another worker.
const NOT_SENT: readonly TaskErrorCode[] = [
  'connection_refused',
  'connect_timeout',
  'dns_failed',
  'tls_failed',
]

export interface WorkerOptions {
  readonly url: string
  readonly client: OutboundClient
  /** Sign what the worker is shown. Default: it is shown nothing. */
  readonly tokens?: WorkerTokens | undefined
  readonly now: () => number
}

export interface WorkerRequest extends Omit<WholeRequest, 'url'> {
  /** On whose behalf it is asked. Default: the gateway's own, which may all. */
  readonly as?: Asker | undefined
}

/** One worker, as the gateway sees it. */
export class Worker {
  readonly url: string
  readonly #client: OutboundClient
  readonly #tokens: WorkerTokens | undefined
  readonly #now: () => number
  #runs = 0
  #avoidUntil = 0
  #info: WorkerInfo | undefined
  #lost = new AbortController()

  constructor({ url, client, tokens, now }: WorkerOptions) {
    this.url = url.replace(/\/$/, '')
    this.#client = client
    this.#tokens = tokens
    this.#now = now
  }

  /** Runs that this gateway reads from it, or is about to start there. */
  get load(): number {
    return this.#runs
  }

  /** How busy it is: by what this gateway has there and, where it tells of itself, by what all have. */
  get busyness(): number {
    if (this.#info === undefined) return this.#runs
    const { activeTasks, waitingTasks, loopDelayMs } = this.#info.load
    // A turn that is late by 1 ms weighs as much as a task.
    return this.#runs + activeTasks + waitingTasks + loopDelayMs
  }

  get avoided(): boolean {
    return this.#now() < this.#avoidUntil
  }

  /** Whether it has told that it is about to stop. */
  get draining(): boolean {
    return this.#info?.draining === true
  }

  /** What it last told of itself; `undefined` where it tells nothing. */
  get info(): WorkerInfo | undefined {
    return this.#info
  }

  /** Aborted when it tells nothing any more: it has left or died, or is frozen. Anew once it tells again. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /** Notes what it tells of itself; `undefined`: it does no more. */
  note(info: WorkerInfo | undefined): void {
    if (info === undefined && this.#info !== undefined) this.#lost.abort(new WorkerUnreachableError(this.url))
    else if (info !== undefined && this.#lost.signal.aborted) this.#lost = new AbortController()
    this.#info = info
  }

  /** Whether it can run a task of this name, as far as it is known. */
  hasHandler(name: string): boolean {
    const { handlers, simulates = false } = this.#info ?? {}
    return handlers === undefined || simulates || handlers.includes(name)
  }

  /** Counts a run; the answer uncounts it, once. */
  hold(): () => void {
    this.#runs += 1
    let held = true
    return () => {
      if (held) this.#runs -= 1
      held = false
    }
  }

  avoid(): void {
    this.#avoidUntil = this.#now() + AVOID_MS
  }

  /**
   * Sends a request, and reads its answer to the end.
   *
   * @throws WorkerUnreachableError where it was not sent, or the worker is about to stop or full; ProblemError where
   *   the worker refuses, with what it said, or broke off; `upstream_failed` where it does not know this gateway.
   */
  async request(path: string, request: WorkerRequest = {}): Promise<WholeAnswer> {
    const answer = await this.#send(path, request)
    if (answer.status < 400) return answer
    const refusal = refusalOf(answer, this.url)
    // Its reader's token is good: it is ours that is not.
    if (refusal.statusCode === 401) throw strangerError(this.url, refusal)
    if (refusal.code !== 'draining' && refusal.code !== 'too_many_connections') throw refusal
    this.avoid()
    throw new WorkerUnreachableError(this.url, refusal)
  }

  async #send(path: string, { as, ...request }: WorkerRequest): Promise<WholeAnswer> {
    const { signal } = new AbortController()
    const headers = { accept: 'application/json', ...(await this.#shown(as)), ...request.headers }
    const whole = { timeoutMs: CONTROL_TIMEOUT_MS, ...request, url: this.url + path, headers }
    try {
      return await requestWhole(this.#client, whole, signal)
    } catch (error) {
      const { code, message } = classifyError(error)
      if (NOT_SENT.includes(code)) {
        this.avoid()
        throw new WorkerUnreachableError(this.url, error)
      }
      this.avoid()
      const why = code === 'task_timeout' ? `within ${whole.timeoutMs / 1000} s` : `(${message})`
      throw new WorkerSilentError('upstream_failed', `The worker ${this.url} did not answer ${why}`, {
        cause: error,
      })
    }
  }

  /** `fetch` for streams of this worker, which this gateway's readers share. */
  readonly fetch: Fetch = async (url, init) => {
    const headers = { ...init.headers, ...(await this.#shown()) }
    return this.#client.fetch(url, { ...init, method: 'GET', headers })
  }

  async #shown(as?: Asker): Promise<Record<string, string>> {
    return this.#tokens === undefined ? {} : { authorization: `Bearer ${await this.#tokens.of(as)}` }
  }
}

function strangerError(url: string, cause: ProblemError): ProblemError {
  const detail = `The worker ${url} does not know this gateway; give both the same WORKER_SECRET.`
  return new ProblemError('upstream_failed', detail, { cause })
}

/** What a worker refused, said again as our own refusal. */
function refusalOf({ status, headers, body }: WholeAnswer, url: string): ProblemError {
  const refusal = problemOf(new TextDecoder().decode(body))
  const seconds = Number(headers['retry-after'])
  if (refusal !== undefined) {
    return new ProblemError(refusal.code, refusal.detail, {
      ...(refusal.errors === undefined ? {} : { errors: refusal.errors }),
      ...(seconds > 0 ? { retryAfterS: seconds } : {}),
    })
  }
  return new ProblemError('upstream_failed', `The worker ${url} answered HTTP ${status}`)
}

/** The problem that a text is; `undefined` where it is none of ours. */
export function problemOf(text: string): (Problem & { readonly code: ErrorCode }) | undefined {
  try {
    const said: unknown = JSON.parse(text)
    return problem.Check(said) && isOurs(said) ? said : undefined
  } catch {
    return undefined
  }
}

function isOurs(said: Problem): said is Problem & { readonly code: ErrorCode } {
  return Object.hasOwn(ERROR_CODES, said.code)
}

/** An answer of a worker that is not what the protocol says. */
export function badAnswer(worker: Worker, path: string): ProblemError {
  const detail = `The worker ${worker.url} answered ${path} with something else than expected`
  return new ProblemError('upstream_failed', detail)
}
