import { isIP } from 'node:net'
import rateLimit, { type FastifyRateLimitStoreCtor, normalizeIP } from '@fastify/rate-limit'
import { ProblemError } from '@tributary/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { App } from '../app.ts'
import { ADMIN, type Principal } from '../auth/principal.ts'
import { type RateClass, rateClassOf } from './rate-class.ts'
import type { RateLimits } from './rate-limits.ts'

/** Where requests are counted: what @fastify/rate-limit makes its store of. */
export type RateStore = FastifyRateLimitStoreCtor

export interface RateLimiterOptions {
  readonly limits: RateLimits
  /** Where it is counted. */
  readonly store: RateStore
  /** Answers a reader who comes back to a stream and is refused; it throws the error where that is the answer. */
  readonly refuseStream: (reply: FastifyReply, error: ProblemError) => void
}

const MS_PER_S = 1_000
/** Whose key an address is. A user id may hold anything but a line break, so no user's key can be an address's. */
const ADDRESS_KEY = '\naddress:'

/** The class's variable, and what is counted in it. */
const WORDS: Readonly<Record<RateClass, readonly [variable: string, what: string]>> = {
  requests: ['RATE_LIMIT_REQUESTS', 'requests'],
  publishes: ['RATE_LIMIT_PUBLISHES', 'events'],
  connects: ['RATE_LIMIT_CONNECTS', 'connects'],
  runs: ['RATE_LIMIT_RUNS', 'runs'],
}

type Count = ReturnType<App['createRateLimit']>
type Counted = Extract<Awaited<ReturnType<Count>>, { readonly isAllowed: false }>

/** Keeps each principal, and each address that is not known as one, to so many requests of a class in a time. */
export class RateLimiter {
  readonly #counts = new Map<RateClass, Count>()
  readonly #refuseStream: RateLimiterOptions['refuseStream']
  readonly #limits: RateLimits
  readonly #counted = new WeakSet<FastifyRequest>()

  private constructor(app: App, { limits, refuseStream }: RateLimiterOptions) {
    this.#limits = limits
    this.#refuseStream = refuseStream
    for (const rateClass of ['requests', 'publishes', 'connects', 'runs'] as const) {
      const max = limits[rateClass]
      if (max === 0) continue
      const keyGenerator = (request: FastifyRequest) => `${rateClass}:${keyOf(request)}`
      this.#counts.set(rateClass, app.createRateLimit({ max, timeWindow: limits.windowMs, keyGenerator }))
    }
  }

  /** Routes may also have a limit of their own from here on, as `config.rateLimit`. */
  static async open(app: App, options: RateLimiterOptions): Promise<RateLimiter> {
    await app.register(rateLimit, { global: false, store: options.store })
    return new RateLimiter(app, options)
  }

  /** Counts the requests of an app, from where they have their principal on, and refuses what is too much. */
  watch(app: App): void {
    app.addHook('onRequest', async (request, reply) => {
      const rateClass = rateClassOf(request)
      if (rateClass === undefined || isOfGateway(request.principal)) return
      const error = await this.#count(rateClass, request, reply)
      if (error === undefined) return
      if (!isForStream(rateClass, request)) throw error
      this.#refuseStream(reply, error)
      return reply
    })
  }

  /**
   * Counts a request that was refused before it was known whose it is, for its address: as one with a bad token. Those
   * with a good one go on all the same. Answers what to refuse it with where that was too much.
   */
  async ofRefused(
    error: ProblemError,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<ProblemError | undefined> {
    const isAtFault = error.statusCode < 500 && error.category !== 'rate_limit'
    if (!isAtFault || this.#counted.has(request)) return undefined
    if (!request.is404 && rateClassOf(request) === undefined) return undefined
    return this.#count('requests', request, reply)
  }

  async #count(
    rateClass: RateClass,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<ProblemError | undefined> {
    const count = this.#counts.get(rateClass)
    if (count === undefined) return undefined
    this.#counted.add(request)
    const counted = await count(request)
    if (counted.isAllowed) return undefined
    reply.headers(headersOf(rateClass, counted))
    return counted.isExceeded ? this.#tooMany(rateClass, counted) : undefined
  }

  #tooMany(rateClass: RateClass, { max, ttlInSeconds: retryAfterS }: Counted): ProblemError {
    const [variable, what] = WORDS[rateClass]
    const windowS = this.#limits.windowMs / MS_PER_S
    return new ProblemError(
      'rate_limited',
      `More than ${max} ${what} in ${windowS} s (${variable}); try again in ${retryAfterS} s.`,
      { retryAfterS },
    )
  }
}

function keyOf({ principal, ip, socket }: FastifyRequest): string {
  const isKnown = principal !== null && principal.method !== 'anonymous'
  if (isKnown) return principal.userId
  // A trusted proxy may pass on what is no address, of any length.
  return ADDRESS_KEY + normalizeIP(isIP(ip) === 0 ? (socket.remoteAddress ?? '') : ip)
}

/** What a gateway asks of its worker for itself, as the events of a run that many read, is nobody's to be limited for. */
function isOfGateway(principal: Principal | null): boolean {
  return principal?.method === 'worker' && principal.userId === 'gateway' && principal.roles.includes(ADMIN)
}

/** Whether what is refused would have been a stream, whose reader may be an EventSource that comes back. */
function isForStream(rateClass: RateClass, { method, headers }: FastifyRequest): boolean {
  if (method !== 'GET' || (rateClass !== 'connects' && rateClass !== 'runs')) return false
  const { accept = '' } = headers
  return accept.includes('text/event-stream') || !accept.includes('application/json')
}

/**
 * The fields of draft-ietf-httpapi-ratelimit-headers, and beside them the three of its earlier versions, which most
 * clients still read.
 */
function headersOf(rateClass: RateClass, { max, remaining, timeWindow, ttlInSeconds }: Counted) {
  return {
    'ratelimit-policy': `"${rateClass}";q=${max};w=${Math.ceil(timeWindow / MS_PER_S)}`,
    ratelimit: `"${rateClass}";r=${remaining};t=${ttlInSeconds}`,
    'ratelimit-limit': String(max),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': String(ttlInSeconds),
  }
}
