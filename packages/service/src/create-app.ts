import cookie from '@fastify/cookie'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { type Clock, type ErrorCode, type ProblemError, systemClock } from '@tributary/protocol'
import type { FastifyBaseLogger, FastifyReply } from 'fastify'
import { fastify } from 'fastify'
import { type ApiDescription, documentApi } from './api-documents.ts'
import type { App } from './app.ts'
import { authenticateRequests } from './auth/authenticate-requests.ts'
import type { Authenticator } from './auth/authenticator.ts'
import { authorizeRequests, type RoutePermissions } from './auth/rights/authorize-requests.ts'
import { OriginCheck } from './auth/sessions/origin-check.ts'
import { refuseCrossSite } from './auth/sessions/refuse-cross-site.ts'
import { type Drain, refuseWhileDraining } from './drain.ts'
import { addHealth, type ComponentsCheck, type ReadyCheck } from './health.ts'
import { memoryRateStore } from './limits/memory-rate-store.ts'
import { RateLimiter, type RateStore } from './limits/rate-limiter.ts'
import type { RateLimits } from './limits/rate-limits.ts'
import { SocketLimit } from './limits/socket-limit.ts'
import { RequestLog, requestSerializers } from './logger.ts'
import { addMetrics, type ServiceMetrics } from './metrics/service-metrics.ts'
import { acceptJsonOnly } from './requests/json-body.ts'
import { answerProblems, refuseUnknownPaths, writeProblem } from './requests/problem-answers.ts'
import { toProblemError } from './requests/request-error.ts'
import { RequestValidator } from './requests/request-validator.ts'
import { SocketErrors } from './requests/socket-errors.ts'
import { allowOrigins, type CrossOriginConfig, originsOf } from './web/cross-origin.ts'
import { secureAnswers } from './web/security-headers.ts'

export interface AppOptions extends ApiDescription {
  readonly logger: FastifyBaseLogger
  /** Who a request comes from. Routes under `/api/` need it unless their `config.auth` says otherwise. */
  readonly authenticator: Authenticator
  /** What each route that needs a principal asks of him; one that is missing is an error. Default: nothing more. */
  readonly permissions?: RoutePermissions
  /** Which pages may ask, and what answers tell browsers. Default: pages of its own, in development. */
  readonly web?: WebConfig
  /** What refuses new requests once it has begun. */
  readonly drain: Drain
  /** How the parts of the service are, for `/healthz`. Default: none to tell of. */
  readonly components?: ComponentsCheck
  /** Of this process among those of a cluster, for `/healthz`. Default: it is none of a cluster. */
  readonly nodeId?: string | undefined
  /** Whether requests can be served now, for `/readyz`. Default: always. */
  readonly ready?: ReadyCheck
  /** What is counted, told at `/metrics`. Default: nothing is. */
  readonly metrics?: ServiceMetrics
  /** How many requests one principal may send in a time. Default: any number. */
  readonly rateLimits?: RateLimits
  /** Where it is counted. Default: in the memory of this process. */
  readonly rateStore?: RateStore
  /** Answers a reader who comes back to a stream too soon, where it can be told so within a stream; else it throws. */
  readonly refuseStream?: (reply: FastifyReply, error: ProblemError) => void
  /** Default: the machine's. */
  readonly clock?: Clock
  /** The most bytes of a request's body. Default 1 MiB; a route may set its own. */
  readonly bodyLimit?: number
  /** The proxies whose `X-Forwarded-For` is believed: addresses and CIDR. Default: none. */
  readonly trustProxy?: false | string[]
  /** The longest a request may take to arrive, in ms. Default 60 s. What it is answered with may take longer. */
  readonly requestTimeoutMs?: number
  /** The longest its headers may take to arrive, in ms. Default 15 s. */
  readonly headersTimeoutMs?: number
  /** The longest a connection may be idle between requests, in ms. Default 72 s. */
  readonly idleTimeoutMs?: number
  /** Open sockets at a time; beyond it the one that waits for longest without a request is closed. Default: any number. */
  readonly maxSockets?: number
}

/** What a configuration says of browsers. */
interface WebConfig extends CrossOriginConfig {
  readonly NODE_ENV: string
}

const DEFAULT_WEB: WebConfig = { NODE_ENV: 'development', CORS_ORIGINS: [], CORS_CREDENTIALS: false }
const DEFAULT_BODY_LIMIT = 1_048_576
const DEFAULT_REQUEST_TIMEOUT_MS = 60_000
const DEFAULT_HEADERS_TIMEOUT_MS = 15_000
const DEFAULT_IDLE_TIMEOUT_MS = 72_000

/** Room for a token and a list of groups of 8 KiB each in one address, beside the usual headers. */
const MAX_HEADER_BYTES = 32_768
/** A name of 128 characters, each percent-encoded at its longest. Its own schema says what is allowed. */
const MAX_PARAM_LENGTH = 1536
/** How often Node looks for requests that are late. Its default, 30 s, would make the limits above twice as long. */
const TIMEOUT_CHECK_MS = 1000

/**
 * A Fastify app with what both services share; it never listens.
 *
 * Routes are added to what it answers with. Errors leave it as problems (RFC 9457), whatever went wrong.
 */
export async function createApp(options: AppOptions): Promise<App> {
  const onProblem = (code: ErrorCode) => options.metrics?.requests.problem(code)
  const socketErrors = new SocketErrors(MAX_HEADER_BYTES, onProblem)
  const { requestTimeoutMs: requestTimeout = DEFAULT_REQUEST_TIMEOUT_MS } = options
  const instance = fastify({
    loggerInstance: options.logger.child({}, { serializers: requestSerializers }),
    logController: new RequestLog(),
    bodyLimit: options.bodyLimit ?? DEFAULT_BODY_LIMIT,
    trustProxy: options.trustProxy ?? false,
    // Streams never end by themselves: when the drain is over, what is still open is closed.
    forceCloseConnections: true,
    // The drain's own hook answers instead, with a problem.
    return503OnClosing: false,
    keepAliveTimeout: options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS,
    requestTimeout,
    http: {
      // Node holds the next line against it at once.
      requestTimeout,
      headersTimeout: options.headersTimeoutMs ?? DEFAULT_HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      // Node would answer without a body; `refuseUnknownPaths` looks instead.
      requireHostHeader: false,
    },
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    clientErrorHandler: (error, socket) => socketErrors.answer(error, socket),
    frameworkErrors: (error, request, reply) => {
      const problem = toProblemError(error, request)
      onProblem(problem.code)
      writeProblem(reply.raw, problem)
    },
  })
  const app: App = instance.withTypeProvider<TypeBoxTypeProvider>()
  socketErrors.watch(app.server)
  new SocketLimit({
    max: options.maxSockets ?? 0,
    onDrop: () => options.metrics?.requests.socketDropped(),
  }).watch(app.server)

  const validator = new RequestValidator()
  app.setValidatorCompiler((route) => validator.compile(route))
  acceptJsonOnly(app)
  answerProblems(app, {
    onProblem,
    instead: async (error, request, reply) => limiter?.ofRefused(error, request, reply),
  })
  const { web = DEFAULT_WEB } = options
  // Before what may refuse: a page is to read why.
  await allowOrigins(app, web)
  await secureAnswers(app, web.NODE_ENV)
  await app.register(cookie)
  // In this order: a draining server says so first, and what does not exist needs no token.
  refuseWhileDraining(app, options.drain)
  const limiter = await openLimiter(app, options)
  refuseUnknownPaths(app, { maxParamLength: MAX_PARAM_LENGTH })
  authenticateRequests(app, options.authenticator)
  // Before it is asked what may be done: to be refused counts too.
  limiter?.watch(app)
  refuseCrossSite(app, new OriginCheck(originsOf(web)))
  if (options.permissions !== undefined) authorizeRequests(app, options.permissions)
  await documentApi(app, options)
  const { drain, components, nodeId, ready, metrics } = options
  if (metrics !== undefined) addMetrics(app, metrics)
  addHealth(app, {
    drain,
    nodeId,
    ...(components === undefined ? {} : { components }),
    ...(ready === undefined ? {} : { ready }),
  })
  return app
}

async function openLimiter(app: App, options: AppOptions): Promise<RateLimiter | undefined> {
  const { rateLimits: limits, refuseStream, metrics, clock = systemClock } = options
  if (limits === undefined) return undefined
  return RateLimiter.open(app, {
    limits,
    store: options.rateStore ?? memoryRateStore({ clock }),
    refuseStream: (reply, error) => {
      if (refuseStream === undefined) throw error
      refuseStream(reply, error)
      metrics?.requests.problem(error.code)
    },
  })
}
