import type { ComponentHealth, ConsistencyFault } from '@tributary/protocol'

/** How much one user may hold at a time. 0 is no limit. */
export interface QuotaLimits {
  readonly maxHolds: number
  /** Of all of his holds together. */
  readonly maxWeight: number
}

/** Something of a user's that is counted while it is there: a run, a stream. */
export interface Hold {
  readonly userId: string
  /** Of its own among the user's, at all nodes: who holds the same goes on with it. */
  readonly id: string
  /** What it counts for now, as the tasks of a run that have not ended. Below 0 is 0. */
  readonly weight: () => number
  /** Whether what it stands for is no more, so that it was forgotten to let go. Default: nobody knows. */
  readonly isOver?: () => boolean
}

/** What came of asking for one more: it is held, or the user has too many, or they weigh too much. */
export type TakeAnswer = 'taken' | 'too_many' | 'too_heavy'

/**
 * What each user holds, over all nodes of a service, and how much he may.
 *
 * A hold is its node's, until it is let go or the node's lease ends; who goes on with what it stands for holds it anew.
 */
export interface UserQuota {
  readonly limits: QuotaLimits
  /** `degraded` while only what this node holds is counted. */
  readonly health: ComponentHealth
  /** Holds one more, where the user may. It never rejects: where nobody else can be asked this node decides. */
  take(hold: Hold): Promise<TakeAnswer>
  /** Holds what is there, whatever the limits, as a run that was accepted. One of this id is replaced. */
  hold(hold: Hold): void
  /** Lets go; nothing where this node does not hold it. */
  release(userId: string, id: string): void
  /** What this node holds. */
  held(): Iterable<Hold>
  /**
   * Holds of this node that nobody let go, and what the cluster says otherwise of them, or of nodes that are gone.
   *
   * @throws where it cannot be asked.
   */
  faults(): Promise<readonly ConsistencyFault[]>
}
