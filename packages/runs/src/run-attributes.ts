import type { AppendOptions } from '@tributary/eventlog'

/** What a run keeps with its log, beside its events: set, or taken away where `null`. */
export type Attributes = NonNullable<AppendOptions['attributes']>

/** The attributes that are the run's own: what it is, what it was asked for, and why it was cancelled. */
export const RECORD = 'run'
export const REQUEST = 'request'
export const CANCELLED = 'cancelled'
