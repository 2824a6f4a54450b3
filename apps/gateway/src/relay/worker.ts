import type { Fetch } from '@tributary/client'
import type { OutboundClient, WholeAnswer, WholeRequest } from '@tributary/outbound'
import { classifyError, requestWhole } from '@tributary/outbound'
import { ERROR_CODES, type ErrorCode, Problem, ProblemError, type TaskErrorCode } from '@tributary/protocol'
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

  constructor(url: string, cause: unknown) {
    super(`The worker ${url} cannot be reached`, { cause })
  }
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
  /** What the worker is shown. */
  readonly secret: string | undefined
  readonly now: () => number
}

/** One worker, as the gateway sees it. */
export class Worker {
  readonly url: string
  readonly #client: OutboundClient
  readonly #headers: Readonly<Record<string, string>>
  readonly #now: () => number
  #runs = 0
  #avoidUntil = 0

  constructor({ url, client, secret, now }: WorkerOptions) {
    this.url = url.replace(/\/$/, '')
    this.#client = client
    this.#headers = secret === undefined ? {} : { authorization: `Bearer ${secret}` }
    this.#now = now
  }

  /** Runs that this gateway reads from it, or is about to start there. */
  get load(): number {
    return this.#runs
  }

  get avoided(): boolean {
    return this.#now() < this.#avoidUntil
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
   * @throws WorkerUnreachableError where it was not sent, or the worker is about to stop; ProblemError where
   *   the worker refuses, with what it said, or broke off.
   */
  async request(path: string, request: Omit<WholeRequest, 'url'> = {}): Promise<WholeAnswer> {
    const answer = await this.#send(path, request)
    if (answer.status < 400) return answer
    const refusal = refusalOf(answer, this.url)
    if (refusal.code !== 'draining') throw refusal
    this.avoid()
    throw new WorkerUnreachableError(this.url, refusal)
  }

  async #send(path: string, request: Omit<WholeRequest, 'url'>): Promise<WholeAnswer> {
    const { signal } = new AbortController()
    const headers = { accept: 'application/json', ...this.#headers, ...request.headers }
    const whole = { timeoutMs: CONTROL_TIMEOUT_MS, ...request, url: this.url + path, headers }
    try {
      return await requestWhole(this.#client, whole, signal)
    } catch (error) {
      const { code, message } = classifyError(error)
      if (NOT_SENT.includes(code)) {
        this.avoid()
        throw new WorkerUnreachableError(this.url, error)
      }
      const why = code === 'task_timeout' ? `within ${whole.timeoutMs / 1000} s` : `(${message})`
      throw new ProblemError('upstream_failed', `The worker ${this.url} did not answer ${why}`, {
        cause: error,
      })
    }
  }

  /** `fetch` for streams of this worker. */
  readonly fetch: Fetch = (url, init) =>
    this.#client.fetch(url, { ...init, method: 'GET', headers: { ...init.headers, ...this.#headers } })
}

/** What a worker refused, said again as our own refusal. */
function refusalOf({ status, body }: WholeAnswer, url: string): ProblemError {
  const said: unknown = parse(body)
  if (problem.Check(said) && isErrorCode(said.code)) {
    return new ProblemError(said.code, said.detail, said.errors === undefined ? {} : { errors: said.errors })
  }
  return new ProblemError('upstream_failed', `The worker ${url} answered HTTP ${status}`)
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code)
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch {
    return undefined
  }
}
