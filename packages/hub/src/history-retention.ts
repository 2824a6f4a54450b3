import type { OpenOptions, Retention } from '@tributary/eventlog'
import {
  ALL_TOPIC,
  connectionTopic,
  groupTopic,
  presenceTopic,
  roleTopic,
  sessionTopic,
  type Topic,
  userTopic,
} from '@tributary/protocol'
import { PROBE_RETENTION } from '@tributary/sse'
import { PROBE_TOPIC } from './hub-probe.ts'

export const DEFAULT_HISTORY_MAX_EVENTS = 1_000
export const DEFAULT_HISTORY_MAX_AGE_MS = 300_000
export const DEFAULT_HISTORY_USER_MAX_AGE_MS = 86_400_000

export const DEFAULT_HISTORY_MAX_BYTES = 268_435_456

/** Whom an event is for, as far as it decides how long it is kept. */
export type HistoryClass = 'users' | 'groups' | 'roles' | 'sessions' | 'connections' | 'all'

export interface HistoryOptions {
  /** Events kept of a topic, where its class says nothing else. Default 1,000. */
  readonly historyMaxEvents?: number
  /** How long they are kept, in ms, where its class says nothing else. Default 5 minutes. */
  readonly historyMaxAgeMs?: number
  /** The same for the topics of users: the queue of who is away. Default a day. */
  readonly historyUserMaxAgeMs?: number
  /** Bytes of all that is kept, whatever its topics; the oldest goes first. Default 256 MiB. */
  readonly historyMaxBytes?: number
  /** What differs by class: how many events of each user, each group, … are kept, and how long. */
  readonly history?: Readonly<Partial<Record<HistoryClass, Partial<Retention>>>>
}

const PREFIXES: readonly (readonly [prefix: string, HistoryClass])[] = [
  [userTopic(''), 'users'],
  [groupTopic(''), 'groups'],
  [presenceTopic(''), 'groups'],
  [roleTopic(''), 'roles'],
  [sessionTopic(''), 'sessions'],
  [connectionTopic(''), 'connections'],
]

/** How much a hub keeps of each topic. */
export function historyRetention({
  historyMaxEvents = DEFAULT_HISTORY_MAX_EVENTS,
  historyMaxAgeMs = DEFAULT_HISTORY_MAX_AGE_MS,
  historyUserMaxAgeMs = DEFAULT_HISTORY_USER_MAX_AGE_MS,
  history = {},
}: HistoryOptions): OpenOptions['retention'] {
  return (topic) => {
    if (topic === PROBE_TOPIC) return PROBE_RETENTION
    const kind = classOf(topic)
    const {
      maxEvents = historyMaxEvents,
      maxAgeMs = kind === 'users' ? historyUserMaxAgeMs : historyMaxAgeMs,
    } = history[kind] ?? {}
    return { maxEvents, maxAgeMs }
  }
}

function classOf(topic: Topic): HistoryClass {
  if (topic === ALL_TOPIC) return 'all'
  return PREFIXES.find(([prefix]) => topic.startsWith(prefix))?.[1] ?? 'all'
}
