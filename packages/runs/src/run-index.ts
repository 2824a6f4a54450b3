import type { OnceKey } from '@tributary/eventlog'
import type { RunStatus } from '@tributary/protocol'
import type { RunStart } from './run-list.ts'
import type { RunRecord } from './run-record.ts'
import type { StoredRun } from './run-records.ts'

/** A run as an index tells of it: as it was accepted, or as it ended. How far it is meanwhile, its log knows. */
export interface IndexedRun {
  readonly runId: string
  readonly record: RunRecord
  /** Of its terminal event. */
  readonly lastEventId?: string | undefined
}

/** Whether an id is to be a run, or the key that it was asked for with is another's. */
export type RunClaim =
  | {
      readonly kind: 'ours'
      /**
       * There where the key was another's of which nothing came, and whose node is gone or could not accept it: what was
       * prepared as that one is to be gone on with.
       */
      readonly preparedAs?: string
    }
  | {
      readonly kind: 'theirs'
      readonly runId: string
      /** Resolves once that one is accepted, or has come to nothing and left the key free. */
      readonly accepted: Promise<boolean>
    }

export interface NewestRunsQuery {
  /** Whose. Default: everybody's. */
  readonly userId?: string | undefined
  /** Only those after this one, in the order of the answer. */
  readonly after?: RunStart | undefined
}

/** How many finished runs are kept, and for how long after their end. */
export interface RunRetention {
  readonly maxAgeMs: number
  readonly maxCount: number
}

/** What has become of a run that was to be known again. */
export type RestoredRun = 'known' | 'claimed' | 'gone'

/**
 * Which runs there are, of all nodes that share it: their keys, their order, and which are kept. A run is claimed before
 * anything of it is stored, added once it is accepted, and ended once its log is.
 */
export interface RunIndex {
  /** How many ended runs this process itself keeps, by how they ended; none where they are kept elsewhere. */
  counts(): ReadonlyMap<RunStatus, number>
  /**
   * Takes an id, and the key where there is one.
   *
   * @throws ProblemError `idempotency_conflict` where the key was used for something else.
   */
  claim(runId: string, once?: OnceKey): Promise<RunClaim>
  /** The run is accepted. */
  add(run: IndexedRun): Promise<void>
  /**
   * It is not after all: as if it had never been asked for.
   *
   * @param preparedAs is told who asks for the same with its key, where an index keeps that. Default: nobody.
   */
  abandon(runId: string, preparedAs?: string): Promise<void>
  /** It has ended. May be called again. */
  end(run: IndexedRun): Promise<void>
  /** `gone` where it is kept no longer. */
  find(runId: string): Promise<IndexedRun | 'gone' | undefined>
  /**
   * Whether a run that is not found may be there in a moment, as where a failover has lost it and its node has not said it
   * again. Absent where nothing is lost.
   */
  isUnsure?(): boolean
  /**
   * Makes a run known that was lost here while its log was kept; what is still known of it stays, but where it surely goes
   * on. One that is about to be accepted, or kept no longer, is not to be known. Absent where nothing is lost that the
   * logs have.
   */
  restore?(run: StoredRun, surelyGoesOn?: boolean): Promise<RestoredRun>
  /**
   * Runs that have ended a moment ago, for the one node of all that is to look whether their logs have, too; for the others
   * none. Absent where both are stored in one step.
   */
  justEnded?(): Promise<readonly string[]>
  /** The newest first, of those that began together the higher id; a page at a time. */
  newest(query: NewestRunsQuery): AsyncIterable<readonly IndexedRun[]>
  /** Those that have not ended, in the order of their ids, after this one: a part of them, as some are always under way. */
  unfinished(after: string, limit: number): Promise<readonly IndexedRun[]>
  /**
   * Lets go of finished runs that are too old or too many, and of claims that nothing came of. The logs of those that it
   * answers are the caller's to drop, who says so by `dropped`; where he never does, another is answered them again.
   */
  forget(retention: RunRetention): Promise<readonly string[]>
  dropped(runIds: readonly string[]): Promise<void>
}
