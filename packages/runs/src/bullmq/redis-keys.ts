/** The names of what a queue of runs keeps in Redis: all in one slot of a Redis Cluster, since scripts touch it together. */
export interface RunQueueKeys {
  /** Before the names of BullMQ's own. */
  readonly bullPrefix: string
  /** Whose turn is next. */
  readonly turns: string
  /** Hash of the nodes that have a run, by run. */
  readonly owners: string
  /** Sorted set of these runs by the time until which their nodes are believed to live, in ms. */
  readonly owned: string
  /** BullMQ's: sorted set of jobs that wait for a time. */
  readonly delayed: string
}

/** @param name of the queue: one for each service. */
export function runQueueKeys(prefix: string, name: string): RunQueueKeys {
  const tag = `${prefix}:{runs:${name}}`
  return {
    bullPrefix: tag,
    turns: `${tag}:turns`,
    owners: `${tag}:owners`,
    owned: `${tag}:owned`,
    delayed: `${tag}:${name}:delayed`,
  }
}
