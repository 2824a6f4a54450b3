import Type from 'typebox'
import { authConfig } from '../auth/auth-config.ts'
import { consistencyConfig } from '../consistency/consistency-config.ts'
import { redisConfig } from './redis-config.ts'

const Milliseconds = (defaultMs: number, description: string, minimum = 1) =>
  Type.Integer({ minimum, maximum: 2_147_483_647, default: defaultMs, description })

const Entries = (description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { default: [], description })

const RateLimit = (description: string) =>
  Type.Optional(
    Type.Integer({
      minimum: 0,
      description: `${description} Default: 100 in production, elsewhere none. 0: no limit.`,
    }),
  )

/** The variables that both services read. */
export const serviceConfig = {
  HOST: Type.String({ minLength: 1, default: '127.0.0.1', description: 'The address to listen on.' }),
  NODE_ENV: Type.Enum(['development', 'production', 'test'], {
    default: 'development',
    description: 'Static tokens, the sample API and simulated tasks are there outside production only.',
  }),
  LOG_LEVEL: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    default: 'info',
    description: 'What is logged, from this level on.',
  }),
  STORE: Type.Enum(['sqlite', 'memory'], {
    default: 'sqlite',
    description: 'Where logs and runs are kept: in a file, or in memory, and then lost with the process.',
  }),
  DATA_DIR: Type.String({
    minLength: 1,
    default: '.data',
    description: 'The folder of the file, made where it is missing. One process at a time may have it open.',
  }),
  STORE_SYNC: Type.Enum(['normal', 'full'], {
    default: 'normal',
    description:
      'What a write waits for. `normal` survives the end of the process in any way; `full` a power loss too.',
  }),
  ...redisConfig,
  ...authConfig,
  CORS_ORIGINS: Type.Array(Type.String({ format: 'cors-origin' }), {
    default: [],
    description:
      'The origins whose pages may read answers, and write with the cookies of who uses them; `*`: all may read.',
  }),
  CORS_CREDENTIALS: Type.Boolean({
    default: false,
    description: 'Whether they may send cookies along. Not with `*`.',
  }),
  WORKER_SECRET: Type.Optional(
    Type.String({
      minLength: 32,
      description: 'What the gateway signs with on whose behalf it asks its workers. The same on both.',
    }),
  ),
  OUTBOUND_ALLOW: Entries(
    'What may be called beyond public addresses: hosts, `host:port`, `*.suffix`, CIDR.',
  ),
  OUTBOUND_DENY: Entries('What may not be called, whatever else is said. The same forms.'),
  OUTBOUND_DNS_SERVERS: Entries(
    'The name servers to ask, as `address` or `address:port`. Default: as the system does.',
  ),
  SENSITIVE_HEADERS: Type.Array(Type.String({ pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$" }), {
    default: [],
    description:
      'Headers of tasks that hold credentials, beside `Authorization`, `Cookie`, `Proxy-Authorization`, `X-Api-Key` and `X-Auth-Token`.',
  }),
  UPSTREAM_CONNECT_TIMEOUT_MS: Milliseconds(5_000, 'The longest that a connect may take.'),
  UPSTREAM_READ_TIMEOUT_MS: Milliseconds(300_000, 'The longest that an open answer may send nothing.'),
  HEARTBEAT_MS: Milliseconds(30_000, 'How often each stream gets a heartbeat.'),
  STREAM_TIMEOUT_MS: Milliseconds(300_000, 'How long a stream lasts, before it ends to be resumed.'),
  STREAM_MAX_TIMEOUT_MS: Milliseconds(3_600_000, 'The most that `?timeout=` can ask for.'),
  RETRY_MS: Milliseconds(3_000, 'What readers are told to wait before they come back.', 0),
  DRAIN_MS: Milliseconds(30_000, 'The time to finish in when the process is asked to end.', 0),
  MAX_CONNECTIONS: Type.Integer({
    minimum: 0,
    default: 10_000,
    description: 'Streams of this process at a time, also those of runs. 0: no limit.',
  }),
  MAX_SOCKETS: Type.Optional(
    Type.Integer({
      minimum: 0,
      description:
        'Open sockets of this process, those of streams too; beyond it the one that waits for longest without a request ' +
        'is closed. Default: twice `MAX_CONNECTIONS` and 1,000. 0: no limit.',
    }),
  ),
  MAX_BODY_BYTES: Type.Integer({
    minimum: 16_384,
    maximum: 104_857_600,
    default: 1_048_576,
    description: "Bytes of a request's body at most.",
  }),
  HEADERS_TIMEOUT_MS: Milliseconds(15_000, "The longest that a request's headers may take to arrive.", 100),
  REQUEST_TIMEOUT_MS: Milliseconds(
    60_000,
    'The longest that a request may take to arrive; its answer, as a stream, may take longer.',
    100,
  ),
  IDLE_TIMEOUT_MS: Milliseconds(72_000, 'The longest that a socket may be idle between requests.', 100),
  TRUSTED_PROXIES: Type.Array(Type.String({ minLength: 1 }), {
    default: [],
    description: 'The proxies whose `X-Forwarded-For` is believed: addresses and CIDR.',
  }),
  MAX_RUNS_PER_USER: Type.Optional(
    Type.Integer({
      minimum: 0,
      description: 'Runs of one user at a time. Default: 100 in production, elsewhere none. 0: no limit.',
    }),
  ),
  MAX_RUN_STREAMS_PER_USER: Type.Optional(
    Type.Integer({
      minimum: 0,
      description:
        'Streams of runs that one user reads at a time. Default: 100 in production, elsewhere none. 0: no limit.',
    }),
  ),
  MAX_TASKS_PER_USER: Type.Optional(
    Type.Integer({
      minimum: 0,
      description:
        'Tasks of one user that have not ended. Default: 10000 in production, elsewhere none. 0: no limit.',
    }),
  ),
  RATE_LIMIT_WINDOW_MS: Milliseconds(60_000, 'In which time the rate limits count.', 1_000),
  RATE_LIMIT_REQUESTS: RateLimit('Requests of one user in that time, but those below.'),
  RATE_LIMIT_PUBLISHES: RateLimit('Sends.'),
  RATE_LIMIT_CONNECTS: RateLimit('Streams that are opened; how long they stay open does not count.'),
  RATE_LIMIT_RUNS: RateLimit('Runs, relays and merges that are started.'),
  OUTBOX_MAX_BYTES: Type.Integer({
    minimum: 1_024,
    default: 262_144,
    description: 'Bytes that wait for one reader at most.',
  }),
  OUTBOX_MAX_EVENTS: Type.Integer({
    minimum: 16,
    default: 4_096,
    description: 'Events that wait for one reader at most.',
  }),
  MAX_EVENT_BYTES: Type.Integer({
    minimum: 8_192,
    default: 131_072,
    description: 'Bytes of one event at most.',
  }),
  RUN_MAX_EVENTS: Type.Integer({ minimum: 100, default: 100_000, description: 'Events kept of a run.' }),
  RUN_MAX_AGE_MS: Milliseconds(86_400_000, 'How long a finished run is kept.', 0),
  RUN_MAX_COUNT: Type.Integer({ minimum: 0, default: 10_000, description: 'Finished runs that are kept.' }),
  RUN_MAX_TAKEOVERS: Type.Integer({
    minimum: 0,
    default: 5,
    description:
      'In a cluster: how often a run is taken over from a node that is gone while it comes no further; then what is unfinished of it fails.',
  }),
  DISCONNECT_GRACE_MS: Milliseconds(
    10_000,
    'How long a run with `onDisconnect: "cancel"` waits for a reader to come back.',
    0,
  ),
  IDEMPOTENCY_WINDOW_MS: Type.Integer({
    minimum: 1_000,
    maximum: 604_800_000,
    default: 86_400_000,
    description: 'How long an `Idempotency-Key` is remembered.',
  }),
  TASK_CONCURRENCY: Type.Integer({
    minimum: 1,
    default: 16,
    description: "A run's tasks at a time, by default.",
  }),
  TASK_CONCURRENCY_MAX: Type.Integer({ minimum: 1, default: 64, description: 'The most a request may ask.' }),
  TASK_TIMEOUT_MS: Type.Integer({
    minimum: 1,
    maximum: 600_000,
    default: 30_000,
    description: 'The time of one attempt of a task that names none.',
  }),
  MAX_TASKS: Type.Integer({
    minimum: 1,
    maximum: 100_000,
    default: 1_000,
    description: 'Tasks in one request.',
  }),
  ...consistencyConfig,
  HANDLERS_DIR: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'A folder with further named tasks, beside the shipped ones. They import `@tributary/runs`, so it is below ' +
        '`apps/gateway` or `apps/worker`.',
    }),
  ),
}

/** The variables whose values nobody is shown. */
export const SECRET_VARIABLES = [
  'REDIS_URL',
  'AUTH_STATIC_TOKENS',
  'AUTH_JWT_SECRET',
  'AUTH_SESSION_SECRET',
  'AUTH_AUTHJS_SECRET',
  'WORKER_SECRET',
  'WEBHOOK_SECRET',
] as const
