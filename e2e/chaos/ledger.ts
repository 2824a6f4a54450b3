/** What happened in a round, as it is compared in the end. Times are milliseconds of one monotonic clock. */

/** One publish, from its first attempt on. */
export interface PublishRecord {
  /** Its idempotency key; the event's data bears it, too. */
  readonly key: string
  /** Whoever published it, one after the other. */
  readonly publisher: string
  /** Whom it was for: `all`, `user:…` or `group:…`. */
  readonly topic: string
  /** The id of each answer that acknowledged it: one, and one more for each time it was sent again after that. */
  readonly ids: string[]
}

/** What a hub reader met, in its order. */
export type HubNote =
  | { readonly kind: 'event'; readonly id: string; readonly key: string }
  /** Its cursor went back. */
  | { readonly kind: 'back'; readonly from: string; readonly to: string }
  /** Between `from` and `to`, which is included, events may be missing. */
  | { readonly kind: 'gap'; readonly from: string; readonly to: string; readonly reason: string }

export interface HubReaderRecord {
  readonly name: string
  /** What it is a member of, `all` included. */
  readonly topics: ReadonlySet<string>
  /** Whether it came when all was over: with a cursor that the log still has nobody can tell it what was lost before. */
  readonly isLate?: boolean
  readonly notes: readonly HubNote[]
}

/** An event of a run, under its standard name. */
export interface RunEventRecord {
  readonly id: string
  readonly type: string
  /** As it came: JSON. */
  readonly data: string
}

/** What one reader of a run got, from the first event on. */
export interface RunReading {
  readonly reader: string
  /** Whether it came when others had read the end. */
  readonly isLate?: boolean
  readonly events: readonly RunEventRecord[]
  /** The gaps that it was told, as they came. */
  readonly gaps: readonly string[]
  /** Whether its cursor went back without a gap that says why. */
  readonly isSentBack?: boolean
}

/** A source of a merge or a relay. */
export interface SourceRecord {
  /** What its events bear as their `source`; `undefined` where the run is the source itself, and has no other. */
  readonly name: string | undefined
  /** The type of its events, each of which bears its number, from 1, as `seqKey`. */
  readonly type: string
  readonly seqKey: string
  readonly count: number
  /** Whether it can be resumed wherever it breaks, and so has to come whole. */
  readonly mustComplete: boolean
}

export interface RunRecord {
  /** Its idempotency key. */
  readonly key: string
  readonly kind: string
  /** Every run id that an answer to its start named. */
  readonly runIds: ReadonlySet<string>
  /** The ids of its tasks, where it has any. */
  readonly taskIds: readonly string[]
  /** Those of them that may be called again, and so have to come to a result, whatever happens meanwhile. */
  readonly mustSucceed: readonly string[]
  readonly sources: readonly SourceRecord[]
  readonly readings: readonly RunReading[]
  /** When the result of a task, good or bad, was first seen by any reader. That of a cancel is none. */
  readonly resultSeenAtMs: ReadonlyMap<string, number>
  /** The status that the run's own page tells in the end. */
  readonly status: string | undefined
  /** What the page told before, when its readers had read the end already; not that it cannot be told. */
  readonly statusBefore?: string | undefined
  readonly isCancelAsked: boolean
  /**
   * When whoever calls for it answered that it is cancelled. `undefined` where another did: a cancel is told at once,
   * also while the worker is away, and that hears of it when it is back.
   */
  readonly callsEndedAtMs: number | undefined
  /** Whether it was answered that it is cancelled. */
  readonly isCancelled: boolean
}

/** A call that the external API got. */
export interface CallRecord {
  readonly runKey: string
  readonly taskId: string
  readonly atMs: number
  /** Whether what is called may be called again. */
  readonly repeatable: boolean
}

/** Reasons of gaps that are told where a log has lost what it had: its numbers may begin anew. */
const REWINDS = new Set(['log_lost', 'ahead'])

/** Whether a gap says that the log has lost what it had. */
export function isRewind({ reason }: { readonly reason: string }): boolean {
  return REWINDS.has(reason)
}

/** The number of an event in its log. `NaN` where `id` is none. */
export function numberOf(id: string): number {
  return Number(/^(?:[\w-]+\.)?\d+-(\d+)$/.exec(placeOf(id))?.[1] ?? Number.NaN)
}

/** An id without what it says of events that were sent before they had a place. */
export function placeOf(id: string): string {
  return id.split('~', 1).join()
}
