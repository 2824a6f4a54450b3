import Type from 'typebox'

/** What makes a process a node of a cluster. */
export const redisConfig = {
  REDIS_URL: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'The Redis of a cluster: `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://`, see docs/redis.md. Default: none, one machine.',
    }),
  ),
  REDIS_PREFIX: Type.String({
    pattern: '^[A-Za-z0-9_.:-]{1,64}$',
    default: 'tributary',
    description: 'What all keys and channels begin with; nodes with the same one are one cluster.',
  }),
  REDIS_TLS_CA_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description: "The authorities of the servers' certificates, as PEM. Default: those of Node.",
    }),
  ),
  REDIS_TIMEOUT_MS: Type.Integer({
    minimum: 100,
    maximum: 60_000,
    default: 5_000,
    description:
      'The longest that Redis may take to connect or to answer, before the connection is made anew.',
  }),
  REDIS_OUTAGE: Type.Enum(['buffer', 'reject'], {
    default: 'buffer',
    description:
      'What becomes of a send while Redis is away: it is delivered here, kept and sent on later, or it is refused.',
  }),
  REDIS_OUTAGE_MAX_EVENTS: Type.Integer({
    minimum: 1,
    default: 10_000,
    description: 'Events that are kept so at most; then sends are refused.',
  }),
  REDIS_OUTAGE_MAX_BYTES: Type.Integer({
    minimum: 1_024,
    default: 67_108_864,
    description: 'Their bytes at most.',
  }),
  NODE_LEASE_MS: Type.Integer({
    minimum: 500,
    maximum: 600_000,
    default: 10_000,
    description:
      'How long a node may say nothing before it counts as gone, and others take over what it had.',
  }),
  NODE_URL: Type.Optional(
    Type.String({
      format: 'origin',
      description: 'How other nodes reach this one, without a path. Default: `http://`, `HOST` and the port.',
    }),
  ),
}
