/** How a request to a node ended. */
export type AskOutcome = 'ok' | 'failed' | 'unreachable'

/** Counts what a cluster does. */
export interface ClusterMeter {
  /** A heartbeat: the lease was renewed, or Redis could not be asked. */
  heartbeat(outcome: 'renewed' | 'failed'): void
  /** This node's lease had ended, and it is back. */
  leaseLost(): void
  asked(outcome: AskOutcome): void
}

export const NO_CLUSTER_METER: ClusterMeter = {
  heartbeat() {},
  leaseLost() {},
  asked() {},
}
