/** The names of what a queue of runs keeps in Redis: all in one slot of a Redis Cluster, since scripts touch it together. */
export interface RunQueueKeys {
  /** Before the names of BullMQ's own. */
  readonly bullPrefix: string
  /** Whose turn is next. */
  readonly turns: string
}

/** @param name of the queue: one for each service. */
export function runQueueKeys(prefix: string, name: string): RunQueueKeys {
  const tag = `${prefix}:{runs:${name}}`
  return { bullPrefix: tag, turns: `${tag}:turns` }
}
