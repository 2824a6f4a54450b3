import { setTimeout as delay } from 'node:timers/promises'
import { ProblemError } from '@tributary/protocol'
import { WAITING } from '@tributary/redis'
import type { createLogger } from '@tributary/service'
import type { BackendsConfig } from './backends.ts'

/** How long after an attempt the next one follows, in ms. */
const RETRY_MS = 1_000

export interface UntilRedisStaysOptions {
  readonly config: Pick<BackendsConfig, 'REDIS_URL'>
  /** Makes what tells that it is waited. */
  readonly logger: () => ReturnType<typeof createLogger>
  /** Told why it is waited, too. */
  readonly onWaiting: (reason: string) => void
}

/**
 * Builds a service whose Redis may go away while it does: then it is waited for, as where it was not there from the first,
 * and all is built anew.
 *
 * @throws what `build` throws otherwise.
 */
export async function untilRedisStays<T>(
  build: () => Promise<T>,
  { config, logger, onWaiting }: UntilRedisStaysOptions,
): Promise<T> {
  for (;;) {
    try {
      return await build()
    } catch (error) {
      const isAway = error instanceof ProblemError && error.code === 'store_unavailable'
      if (config.REDIS_URL === undefined || !isAway) throw error
      logger().warn({ reason: error.message }, WAITING)
      onWaiting(`${WAITING}: ${error.message}`)
      await delay(RETRY_MS)
    }
  }
}
