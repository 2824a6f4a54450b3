import { type Env, readConfig, SECRET_VARIABLES, serviceConfig, withEnvFile } from '@tributary/service'
import Type, { type Static } from 'typebox'

const HistoryMs = (defaultMs: number, description: string) =>
  Type.Integer({ minimum: 0, default: defaultMs, description })

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
    description: 'The workers, comma-separated.',
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
  HISTORY_MAX_EVENTS: Type.Integer({ minimum: 0, default: 1_000, description: 'Events kept of a topic.' }),
  HISTORY_MAX_AGE_MS: HistoryMs(300_000, 'How long they are kept.'),
  HISTORY_USER_MAX_AGE_MS: HistoryMs(86_400_000, "How long a user's are kept: the queue for who is offline."),
})

export type GatewayConfig = Readonly<Static<typeof GatewayConfigSchema>>

/** Reads the gateway's configuration from the environment and `.env`. @throws ConfigError that names each fault. */
export function readGatewayConfig(env: Env = withEnvFile(process.env, process.cwd())): GatewayConfig {
  return readConfig(GatewayConfigSchema, env, { secretNames: SECRET_VARIABLES })
}
