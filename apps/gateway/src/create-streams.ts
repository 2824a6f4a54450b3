import { credentialOf, Revocations, Revoker, streamOptionsOf, streamTimesOf } from '@tributary/service'
import { StreamServer } from '@tributary/sse'
import { RunReplies } from '@tributary/sse/fastify'
import type { GatewayConfig } from './config.ts'
import type { GatewayBase } from './gateway-base.ts'

/** The streams of this gateway, of its hub and of runs, and the revocations that end them. */
export function createStreams(config: GatewayConfig, base: GatewayBase) {
  const { backends, clock, random, metrics, logger } = base
  const store = backends.revocations
  const revocations = new Revocations({ store, clock, keptS: config.AUTH_REVOCATION_KEPT_S })
  const streams = new StreamServer({
    ...streamOptionsOf(config),
    clock,
    isRevoked: (credential) => revocations.isRevoked(credential),
    meter: metrics.streams,
    maxStreamsPerAddress: config.MAX_CONNECTIONS_PER_ADDRESS,
    readers: backends.quotas.runStreams,
    streamsPerS: config.CONNECT_RATE_PER_S,
    framesPerS: config.CONNECTION_EVENTS_PER_S,
    random,
  })
  const runReplies = new RunReplies({
    ...streamTimesOf(config),
    streams,
    credentialOf,
    onError: (error, runId) => logger.error({ err: error, runId }, 'log cannot be read'),
  })
  const endRevoked = () => streams.endRevoked()
  const revoker = new Revoker({ revocations, store, cluster: backends.cluster, endRevoked })
  return { revocations, revoker, streams, runReplies }
}
