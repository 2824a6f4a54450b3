import type { EventLog } from '@tributary/eventlog'

/** Longer than any run is kept. */
const CLAIM_WINDOW_MS = 30 * 86_400_000

/**
 * Takes the first epoch from this one on that nobody has: of two who take a run over at once, each gets its own.
 *
 * @throws as `EventLog.appendOnce`.
 */
export async function claimEpoch(log: EventLog, from: number): Promise<number> {
  for (let epoch = from; ; epoch++) {
    const once = { key: `epoch:${epoch}`, fingerprint: '', windowMs: CLAIM_WINDOW_MS }
    const { replayed } = await log.appendOnce([], once)
    if (!replayed) return epoch
  }
}
