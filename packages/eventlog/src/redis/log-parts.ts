import type { OpenOptions } from '../event-log.ts'
import type { KeyedEntries } from './append/keyed-entries.ts'
import type { LogState } from './log-state.ts'
import type { LogStore } from './log-store.ts'
import type { LogKeys } from './redis-keys.ts'

/** What all that works on one log shares. */
export interface LogParts {
  readonly name: string
  readonly keys: LogKeys
  readonly options: OpenOptions
  readonly state: LogState
  readonly store: LogStore
  readonly keyed: KeyedEntries
  /** Whether somebody here follows it. */
  readonly isFollowed: () => boolean
}
