import { connectionOfTopic, type Topic } from '@tributary/protocol'

/** An entry under more topics than this is told by a hint alone, once, and is read by whoever follows one of them. */
export const MAX_TOLD_TOPICS = 16

/** The names of what a store keeps in Redis. What belongs to one log has its name as hash tag: one slot of a Cluster. */
export class RedisKeys {
  readonly #prefix: string

  /** @param prefix as `REDIS_PREFIX`. */
  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** A sorted set of the names of all logs, each with the score 0. */
  get logs(): string {
    return `${this.#prefix}:logs`
  }

  log(name: string): LogKeys {
    // A brace in the name would end the hash tag.
    const tag = name.replaceAll(/[%{}]/g, encodeURIComponent)
    return new LogKeys(`${this.#prefix}:{${tag}}:`)
  }
}

/** The names of what one log keeps. */
export class LogKeys {
  readonly #base: string
  /** The keys as each script of a log takes them, in this order. */
  readonly all: readonly string[]

  constructor(base: string) {
    this.#base = base
    this.all = [
      // A hash: `life`, `o` (opened, ms), `n` and `ms` (head), `c` (closed), `e` (epoch), `r` (run id), `v` (version of the
      // attributes), `b` (bytes kept), `ln` and `lms` (lost up to), and `a:<name>` of each attribute.
      `${base}meta`,
      // Sorted sets by topic: its last number, its first that is kept, when that is due to be trimmed, and since when it
      // is empty, by the time of the last that was trimmed.
      `${base}topics`,
      `${base}firsts`,
      `${base}due`,
      `${base}empty`,
      // Hashes by topic: up to where it was trimmed as `<n>-<ms>`, and its age in ms.
      `${base}trimmed`,
      `${base}ages`,
      // A stream of the newest places, with the origin of each.
      `${base}trail`,
      // A hash of what stands under several topics: `<n>:h`, `<n>:d` and how many still have it, `<n>:c`.
      `${base}shared`,
      // What the name of a topic's stream, and of a key that was appended with, begins with.
      `${base}s:`,
      `${base}k:`,
    ]
  }

  /** Where entries under a topic are told. Those of single connections share a channel. */
  channelOf(topic: Topic): string {
    return connectionOfTopic(topic) === undefined ? `${this.#base}t:${topic}` : `${this.#base}connections`
  }

  /** Where everything is told. */
  get whole(): string {
    return `${this.#base}whole`
  }

  /** Where it is told that there is something under many topics. */
  get hints(): string {
    return `${this.#base}hints`
  }
}
