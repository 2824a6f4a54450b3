/** The names of what an index of runs keeps in Redis: all in one slot of a Redis Cluster, since scripts touch it together. */
export interface RunIndexKeys {
  /** Hash by run: what is told of it, as JSON, with its member of `byUser`. */
  readonly records: string
  /** Sorted set, all of the score 0: `<started> <run>`. */
  readonly all: string
  /** The same of each user: `<user> <started> <run>`. */
  readonly byUser: string
  /** Sorted set of runs that have not ended, all of the score 0. */
  readonly live: string
  /** Sorted set of ended runs by the time of their end, in ms. */
  readonly ended: string
  /** Sorted set of runs that are about to be accepted, by the time at which that is no longer believed. */
  readonly claims: string
  /** Sorted set of runs that are kept no longer, by the time since when. */
  readonly gone: string
  /** Sorted set of runs whose log somebody is to drop, by the time at which he was told so. */
  readonly dropping: string
  /** There for a while after a node has looked whether the logs of what has ended have, too. */
  readonly looked: string
  /** What a key was used for: `<fingerprint> <run> 1` where that is accepted; else `… 0 <the run as which it is prepared>`. */
  once(key: string): string
}

/** @param name of the index: one for each service. */
export function runIndexKeys(prefix: string, name: string): RunIndexKeys {
  const tag = `${prefix}:{runs:${name}}:index`
  return {
    records: `${tag}:records`,
    all: `${tag}:all`,
    byUser: `${tag}:by-user`,
    live: `${tag}:live`,
    ended: `${tag}:ended`,
    claims: `${tag}:claims`,
    gone: `${tag}:gone`,
    dropping: `${tag}:dropping`,
    looked: `${tag}:looked`,
    once: (key) => `${tag}:once:${key}`,
  }
}
