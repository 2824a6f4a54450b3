import { type Env, readConfig, SECRET_VARIABLES, serviceConfig, withEnvFile } from '@tributary/service'
import Type, { type Static } from 'typebox'
import { WEBHOOK_EVENTS } from './webhooks/webhook-event.ts'

const HistoryMs = (defaultMs: number, description: string) =>
  Type.Integer({ minimum: 0, default: defaultMs, description })

const Limit = (defaultMax: number, description: string) =>
  Type.Integer({ minimum: 0, default: defaultMax, description })

/** What one class of topics may have of its own; without, it is as `HISTORY_MAX_EVENTS` and `HISTORY_MAX_AGE_MS` say. */
const OwnHistory = (description: string) => Type.Optional(Type.Integer({ minimum: 0, description }))

/** The variables that the gateway reads. */
export const GatewayConfigSchema = Type.Object({
  ...serviceConfig,
  GATEWAY_PORT: Type.Integer({
    minimum: 0,
    maximum: 65_535,
    default: 8_090,
    description: 'The port to listen on.',
  }),
  WORKER_URLS: Type.Array(Type.String({ format: 'uri' }), {
    default: ['http://127.0.0.1:8080'],
    description:
      'The workers, comma-separated. In a cluster those that announce themselves are added, and those that do not answer left out.',
  }),
  RELAY_ALLOWED_ORIGINS: Type.Array(Type.String({ format: 'origin' }), {
    default: [],
    description: 'The origins that relays and merges may read by an absolute endpoint.',
  }),
  UPSTREAM_GIVE_UP_MS: Type.Integer({
    minimum: 0,
    default: 60_000,
    description: 'How long an upstream that is away is waited for.',
  }),
  MAX_CONNECTIONS_PER_USER: Limit(5, 'Streams of one user at a time, but those of runs. 0: no limit.'),
  MAX_CONNECTIONS_CLUSTER: Limit(
    0,
    'Streams of users at a time over all nodes; `MAX_CONNECTIONS` is of each. 0: no limit.',
  ),
  PRESENCE_GRACE_MS: Type.Integer({
    minimum: 0,
    maximum: 3_600_000,
    default: 10_000,
    description: 'How long a user without a stream may take to come back before he has left his groups.',
  }),
  PRESENCE_METADATA: Type.Array(Type.String({ minLength: 1 }), {
    default: [],
    description:
      "The keys of a stream's metadata that are shown to who may be in its groups, comma-separated.",
  }),
  WEBHOOK_URL: Type.Optional(
    Type.String({ format: 'uri', description: 'Who is told of connections and presence. Default: nobody.' }),
  ),
  WEBHOOK_SECRET: Type.Optional(
    Type.String({
      minLength: 32,
      description: 'What that is signed with: `whsec_` and 24 to 64 random bytes in base64.',
    }),
  ),
  WEBHOOK_EVENTS: Type.Array(Type.Enum([...WEBHOOK_EVENTS]), {
    default: [...WEBHOOK_EVENTS],
    description: 'What is told, comma-separated.',
  }),
  WEBHOOK_MAX_PENDING: Type.Integer({
    minimum: 1,
    default: 10_000,
    description: 'Events that wait to be sent; beyond it the oldest is given up.',
  }),
  WEBHOOK_GIVE_UP_MS: Type.Integer({
    minimum: 1_000,
    default: 86_400_000,
    description: 'How long it is tried to send an event.',
  }),
  WEBHOOK_TIMEOUT_MS: Type.Integer({
    minimum: 1,
    maximum: 2_147_483_647,
    default: 10_000,
    description: 'The longest that one attempt may take.',
  }),
  CONNECTION_LIMIT_POLICY: Type.Enum(['reject', 'replace'], {
    default: 'reject',
    description: "What a user's stream beyond that does: it is refused, or the oldest ends for it.",
  }),
  MAX_CONNECTIONS_PER_ADDRESS: Limit(
    0,
    'Streams from one address at a time, or one /64 of IPv6. 0: no limit.',
  ),
  CONNECT_RATE_PER_S: Limit(0, 'New streams in a second; after a quiet one so many at once. 0: no limit.'),
  CONNECTION_EVENTS_PER_S: Limit(
    0,
    'Events that one stream sends in a second; what comes faster waits in its outbox, `low` ones are left out. 0: no limit.',
  ),
  HISTORY_MAX_EVENTS: Type.Integer({ minimum: 0, default: 1_000, description: 'Events kept of a topic.' }),
  HISTORY_MAX_BYTES: Type.Integer({
    minimum: 1_048_576,
    default: 268_435_456,
    description: 'Bytes of all that is kept, whatever its topics; the oldest goes first.',
  }),
  HISTORY_MAX_AGE_MS: HistoryMs(300_000, 'How long they are kept.'),
  HISTORY_USER_MAX_EVENTS: OwnHistory('Events kept of a user. Default: `HISTORY_MAX_EVENTS`.'),
  HISTORY_USER_MAX_AGE_MS: HistoryMs(86_400_000, "How long a user's are kept: the queue for who is offline."),
  HISTORY_GROUP_MAX_EVENTS: OwnHistory('Events kept for a group. Default: `HISTORY_MAX_EVENTS`.'),
  HISTORY_GROUP_MAX_AGE_MS: OwnHistory('How long they are kept. Default: `HISTORY_MAX_AGE_MS`.'),
  HISTORY_ROLE_MAX_EVENTS: OwnHistory('Events kept for a role. Default: `HISTORY_MAX_EVENTS`.'),
  HISTORY_ROLE_MAX_AGE_MS: OwnHistory('How long they are kept. Default: `HISTORY_MAX_AGE_MS`.'),
  HISTORY_SESSION_MAX_EVENTS: OwnHistory('Events kept for a session. Default: `HISTORY_MAX_EVENTS`.'),
  HISTORY_SESSION_MAX_AGE_MS: OwnHistory('How long they are kept. Default: `HISTORY_MAX_AGE_MS`.'),
  HISTORY_ALL_MAX_EVENTS: OwnHistory('Events kept for all together. Default: `HISTORY_MAX_EVENTS`.'),
  HISTORY_ALL_MAX_AGE_MS: OwnHistory('How long they are kept. Default: `HISTORY_MAX_AGE_MS`.'),
})

export type GatewayConfig = Readonly<Static<typeof GatewayConfigSchema>>

/** Reads the gateway's configuration from the environment and `.env`. @throws ConfigError that names each fault. */
export function readGatewayConfig(env: Env = withEnvFile(process.env, process.cwd())): GatewayConfig {
  return readConfig(GatewayConfigSchema, env, { secretNames: SECRET_VARIABLES })
}
