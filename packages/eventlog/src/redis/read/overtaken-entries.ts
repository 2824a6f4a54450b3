import type { Cursor, Position, Topic } from '@tributary/protocol'
import type { StartingPoint } from '../../event-log.ts'

/** Between which places entries of some topics were lost on their way to this node, while others came. */
export class OvertakenEntries {
  readonly #topics = new Set<Topic>()
  #afterN = Number.POSITIVE_INFINITY
  #upTo: Position = { ms: 0, n: 0 }

  /** Widens it to these, so that there is one whatever is lost. */
  add(topics: readonly Topic[], afterN: number, upTo: Position): void {
    for (const topic of topics) this.#topics.add(topic)
    this.#afterN = Math.min(this.#afterN, afterN)
    this.#upTo = upTo
  }

  /** Tells of a gap whoever was sent something in between, and so would go on behind what is lost. */
  judge(start: StartingPoint, cursor: Cursor, topics: readonly Topic[] | undefined): StartingPoint {
    if (start.gap !== undefined || cursor.kind === 'time') return start
    if (cursor.n <= this.#afterN || cursor.n > this.#upTo.n) return start
    const isConcerned = topics === undefined || topics.some((topic) => this.#topics.has(topic))
    return isConcerned ? { after: start.after, gap: 'overflow', lostUpTo: this.#upTo } : start
  }
}
