import type { RedisScript } from '@tributary/redis'
import type { OutageLimits } from './append/outage-buffer.ts'
import type { ChannelOwner } from './follow/log-subscriptions.ts'
import type { TopicSubscriptions } from './follow/topic-subscriptions.ts'
import type { LogFields } from './log-fields.ts'
import type { Whereabouts } from './log-scripts.ts'
import type { LogState } from './log-state.ts'
import type { LogKeys } from './redis-keys.ts'

/** A log as its store holds it. */
export interface StoredLog extends ChannelOwner {
  readonly name: string
  /** Whether something of it would be stored again if a failover lost it. */
  readonly keepsAnswered: boolean
}

export interface LostLog {
  readonly state: LogState
  /** Whether it is to be made. */
  readonly makes: boolean
}

type Run = <T>(script: RedisScript<T>, keys: LogKeys, args: readonly (string | number)[]) => Promise<T>

/** What the logs of a store share. */
export interface LogStore {
  /** Names this process among all that append. */
  readonly node: string
  readonly publish: string
  /** The time in ms, as scripts take it: '' for the server's. */
  readonly clock: () => string
  readonly now: () => number
  readonly elapsed: () => number
  readonly after: (delayMs: number, callback: () => void) => () => void
  readonly retryMs: number
  /** What may wait while Redis is away; `undefined` where nothing may. */
  readonly outage: OutageLimits | undefined
  readonly tailMaxEvents: number
  readonly tailMaxBytes: number
  /** Runs a script that does no harm if it is run twice. @throws StoreUnavailableError */
  readonly ask: Run
  /** Runs one once. @throws RedisUnavailableError */
  readonly run: Run
  /** Publishes a message once on each of these channels. @throws RedisUnavailableError */
  readonly tell: (channels: readonly string[], message: string) => Promise<void>
  /** Opens the log anew; `undefined` where there is none, and none is to be made. */
  readonly reload: (keys: LogKeys, makes: boolean) => Promise<LogFields | undefined>
  /** Looks what has become of a run's log that was not there, and makes it again, without what was appended, where it is lost. */
  readonly makeAgain: (name: string, keys: LogKeys, log: LostLog) => Promise<Whereabouts>
  /** What an error of Redis is answered as. */
  readonly failure: (error: unknown) => unknown
  readonly unreachable: () => Error | undefined
  /** How often a connection to Redis has ended: what is asked since then another server may answer. */
  readonly cuts: () => number
  /** Whether it is not known that nothing can be stored now. */
  readonly takesWrites: () => boolean
  readonly subscriptions: (
    log: StoredLog,
    keys: LogKeys,
    listener: (message: string) => void,
  ) => TopicSubscriptions
  readonly onStored: ((tookMs: number) => void) | undefined
  readonly onError: (error: unknown) => void
  readonly onMoved: (log: StoredLog) => void
  readonly onClosed: (log: StoredLog) => void
}
