import type { EventLog } from '@tributary/eventlog'
import { pause, type StoreWait } from './store-wait.ts'

/**
 * Resolves once this node knows all that was stored of a log before the call, attributes and head: of a log that others
 * write, it else knows what messages have told so far. Waits for a store that is away, but not past `end`.
 */
export async function caughtUp(log: EventLog, { clock, end }: StoreWait): Promise<void> {
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
      await pause(clock, ended)
    } finally {
      following.end()
    }
  }
}
