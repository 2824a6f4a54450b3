import type { EventLog } from '@tributary/eventlog'
import type { Clock } from '@tributary/protocol'

/** How soon it is tried again where the store is away. */
const RETRY_MS = 250

/**
 * Resolves once this node knows all that was stored of a log before the call, attributes and head: of a log that others
 * write, it else knows what messages have told so far. Waits for a store that is away, but not past `end`.
 */
export async function caughtUp(
  log: EventLog,
  { clock, end }: { clock: Clock; end: Promise<void> },
): Promise<void> {
  let hasEnded = false
  const ended = end.then(() => {
    hasEnded = true
  })
  while (!hasEnded) {
    const following = log.follow()
    try {
      await Promise.race([following.ready, ended])
      return
    } catch {
      const again = Promise.withResolvers<void>()
      const cancel = clock.after(RETRY_MS, again.resolve)
      await Promise.race([again.promise, ended])
      cancel()
    } finally {
      following.end()
    }
  }
}
