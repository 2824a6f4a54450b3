import type { OpenOptions } from '@tributary/eventlog'
import { userTopic } from '@tributary/protocol'

export const DEFAULT_HISTORY_MAX_EVENTS = 1_000
export const DEFAULT_HISTORY_MAX_AGE_MS = 300_000
export const DEFAULT_HISTORY_USER_MAX_AGE_MS = 86_400_000

export interface HistoryOptions {
  readonly historyMaxEvents?: number
  readonly historyMaxAgeMs?: number
  readonly historyUserMaxAgeMs?: number
}

const OF_USERS = userTopic('')

/** How much a hub keeps: what is for users longer than the rest, for they may be away. */
export function historyRetention({
  historyMaxEvents: maxEvents = DEFAULT_HISTORY_MAX_EVENTS,
  historyMaxAgeMs = DEFAULT_HISTORY_MAX_AGE_MS,
  historyUserMaxAgeMs = DEFAULT_HISTORY_USER_MAX_AGE_MS,
}: HistoryOptions): OpenOptions['retention'] {
  return (topic) => ({
    maxEvents,
    maxAgeMs: topic.startsWith(OF_USERS) ? historyUserMaxAgeMs : historyMaxAgeMs,
  })
}
