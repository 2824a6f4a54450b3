import type { Position } from '@tributary/protocol'
import type { TopicView } from '../cursor-location.ts'
import { positionIn } from './row.ts'
import type { Statements } from './statements.ts'

export interface RowsViewOptions {
  readonly sql: Statements
  /** Whose rows: a topic's, or those of a run's whole log. */
  readonly of: 'topic' | 'log'
  readonly id: number
  readonly trimmedUpTo: Position | undefined
  /** The number of the log's last event that is not later than `ms`. */
  readonly numberUntil: (ms: number) => number
}

/** What the database keeps of one topic, or of a run's log. */
export class RowsView implements TopicView {
  readonly trimmedUpTo: Position | undefined
  readonly #options: RowsViewOptions

  constructor(options: RowsViewOptions) {
    this.#options = options
    this.trimmedUpTo = options.trimmedUpTo
  }

  get first(): Position | undefined {
    return this.after(0)
  }

  after(n: number): Position | undefined {
    const { sql, of, id, trimmedUpTo } = this.#options
    const statement = of === 'topic' ? 'topicAfter' : 'placeAfter'
    return positionIn(sql.of(statement).get(id, Math.max(n, trimmedUpTo?.n ?? 0)))
  }

  upTo(n: number): Position | undefined {
    const { sql, of, id, trimmedUpTo } = this.#options
    const statement = of === 'topic' ? 'topicUpTo' : 'placeUpTo'
    const place = positionIn(sql.of(statement).get(id, n))
    return place !== undefined && place.n > (trimmedUpTo?.n ?? 0) ? place : undefined
  }

  until(ms: number): Position | undefined {
    return this.upTo(this.#options.numberUntil(ms))
  }
}
