import type { ServerResponse } from 'node:http'
import { type Clock, ProblemError, systemClock } from '@tributary/protocol'
import type { FastifyBaseLogger } from 'fastify'
import type { App } from './app.ts'

export type DrainState = 'serving' | 'draining' | 'closed'

/** One step of a drain. `limit` is aborted when the time is over; what is not done by then is given up. */
export type DrainHook = (limit: AbortSignal) => Promise<void> | void

export interface DrainOptions {
  /** The time for all hooks and the requests under way, in ms (`DRAIN_MS`). */
  readonly limitMs: number
  readonly logger: Pick<FastifyBaseLogger, 'info' | 'warn'>
  /** Default: the machine's. */
  readonly clock?: Clock
}

/** Seconds until a refused client should try again: by then another node answers, or this one anew. */
const DRAIN_RETRY_AFTER_S = 2
/** What a step still gets when the limit has passed before its turn, in ms: a store must be closed all the same. */
const LATE_STEP_MS = 1000

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `serve`: the route answers during a drain too, as health does. Default `refuse`: a 503 `draining`. */
    whileDraining?: 'refuse' | 'serve'
  }
}

interface Step {
  readonly name: string
  readonly run: DrainHook
}

/** Finishing, then closing: serving → draining → closed, once. */
export class Drain {
  readonly limitMs: number
  #state: DrainState = 'serving'
  #drained: Promise<void> | undefined
  readonly #over = Promise.withResolvers<void>()
  #requests = 0
  #idle: (() => void) | undefined
  readonly #finish: Step[] = []
  readonly #close: Step[] = []
  readonly #logger: DrainOptions['logger']
  readonly #clock: Clock

  constructor({ limitMs, logger, clock = systemClock }: DrainOptions) {
    this.limitMs = limitMs
    this.#logger = logger
    this.#clock = clock
  }

  /** Resolves when the drain is over, whoever began it. */
  get over(): Promise<void> {
    return this.#over.promise
  }

  get state(): DrainState {
    return this.#state
  }

  /** Adds what ends open work, as telling readers that their stream moves on. In the order of the calls. */
  onDrain(name: string, hook: DrainHook): void {
    this.#finish.push({ name, run: hook })
  }

  /** Adds what is closed once no request is under way. In the order of the calls. */
  onClose(name: string, hook: DrainHook): void {
    this.#close.push({ name, run: hook })
  }

  /** Counts a request as under way until its response is over. */
  track(response: ServerResponse): void {
    this.#requests += 1
    response.once('close', () => {
      this.#requests -= 1
      if (this.#requests === 0) this.#idle?.()
    })
  }

  /** Begins the drain; later calls get the same promise. It never rejects: a step that fails is logged. */
  begin(): Promise<void> {
    this.#drained ??= this.#run()
    return this.#drained
  }

  async #run(): Promise<void> {
    this.#state = 'draining'
    this.#logger.info({ limitMs: this.limitMs, requests: this.#requests }, 'drain begun')
    const limit = new AbortController()
    const cancel = this.#clock.after(this.limitMs, () => limit.abort())
    const requests: Step = { name: 'requests', run: () => this.#untilIdle() }
    for (const step of [...this.#finish, requests, ...this.#close]) await this.#take(step, limit.signal)
    cancel()
    this.#state = 'closed'
    this.#logger.info({}, 'drain over')
    this.#over.resolve()
  }

  async #take({ name, run }: Step, limit: AbortSignal): Promise<void> {
    const over = Promise.withResolvers<'late'>()
    const late = () => over.resolve('late')
    const cancel = limit.aborted ? this.#clock.after(LATE_STEP_MS, late) : () => undefined
    limit.addEventListener('abort', late, { once: true })
    try {
      if ((await Promise.race([run(limit), over.promise])) === 'late') {
        this.#logger.warn({ step: name }, 'drain step given up')
      }
    } catch (error) {
      this.#logger.warn({ step: name, err: error }, 'drain step failed')
    } finally {
      limit.removeEventListener('abort', late)
      cancel()
    }
  }

  #untilIdle(): Promise<void> {
    if (this.#requests === 0) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#idle = resolve
    return promise
  }
}

/** Answers 503 `draining` to what comes after a drain began, but where a route's `whileDraining` is `serve`. */
export function refuseWhileDraining(app: App, drain: Drain): void {
  let closing = false
  app.addHook('preClose', async () => {
    closing = true
  })
  app.addHook('onRequest', async (request, reply) => {
    if (drain.state !== 'serving' || closing) {
      reply.header('connection', 'close')
      if (request.routeOptions.config.whileDraining !== 'serve') throw drainingError()
    }
    drain.track(reply.raw)
  })
}

export function drainingError(): ProblemError {
  return new ProblemError('draining', 'This server is about to stop; send the request again in a moment.', {
    retryAfterS: DRAIN_RETRY_AFTER_S,
  })
}
