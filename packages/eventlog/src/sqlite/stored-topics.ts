import type { Position, Topic } from '@tributary/protocol'
import type { Retention } from '../event-log.ts'
import { NO_TOPIC } from '../log-window.ts'
import type { AgeCuts } from './age-cuts.ts'
import { RecentMap } from './recent-map.ts'
import { integerOf, positionOf, type Row, textOf } from './row.ts'
import type { Statements } from './statements.ts'

/** Topics of a log that are known without asking the database; those used of late. */
const KNOWN_TOPICS = 8_192
/** Topics looked through at once. */
const PAGE = 512

/** A place within a topic: `seq` is its number there. */
export interface TopicPlace extends Position {
  readonly seq: number
}

/** A topic of a log, as it stands in the database. */
export interface StoredTopic {
  readonly id: number
  readonly name: Topic
  readonly retention: Retention
  /** Up to where its rows are deleted. */
  deletedUpTo: TopicPlace
  /** Up to where they are trimmed: not to be read any more, whether they are deleted yet or not. */
  trimmedUpTo: TopicPlace
  lastSeq: number
  /** Whether the database says that it has no rows. */
  empty: boolean
}

/** The topics of one log. */
export class StoredTopics {
  readonly #sql: Statements
  readonly #log: number
  readonly #retention: (topic: Topic) => Retention
  readonly #ageCuts: AgeCuts
  readonly #known = new RecentMap<Topic, StoredTopic>(KNOWN_TOPICS)

  readonly #overfull = new Set<Topic>()

  constructor(sql: Statements, log: number, retention: (topic: Topic) => Retention, ageCuts: AgeCuts) {
    this.#sql = sql
    this.#log = log
    this.#retention = retention
    this.#ageCuts = ageCuts
  }

  find(name: Topic): StoredTopic | undefined {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const row = this.#sql.of('findTopic').get(this.#log, name)
    return row === undefined ? undefined : this.#remember(this.#read(row))
  }

  /** To be called within a transaction. */
  findOrAdd(name: Topic): StoredTopic {
    const known = this.find(name)
    if (known !== undefined) return known
    const row: Row = this.#sql.of('insertTopic').get(this.#log, name) ?? {}
    const none = { ms: 0, n: 0, seq: 0 }
    return this.#remember({
      id: integerOf(row, 'id'),
      name,
      retention: this.#retention(name),
      deletedUpTo: none,
      trimmedUpTo: none,
      lastSeq: 0,
      empty: false,
    })
  }

  /** All there are, by name; they are not remembered for it. */
  *all(): Generator<StoredTopic> {
    for (const row of this.#rows()) yield this.#known.get(textOf(row, 'name')) ?? this.#read(row)
  }

  /** Up to where each topic was deleted, also of those that are empty. */
  *deletedUpTo(): Generator<{ readonly name: Topic; readonly position: Position }> {
    for (const row of this.#rows()) {
      const name = textOf(row, 'name')
      this.#ageCuts.of(this.#retention(name).maxAgeMs)
      yield { name, position: positionOf(row, 'trimmed_') }
    }
  }

  /** Up to where a topic is trimmed: what is older than its age, and beyond its number. */
  trimmedUpTo(topic: StoredTopic): TopicPlace {
    const { maxEvents, maxAgeMs } = topic.retention
    const excess = topic.lastSeq - topic.trimmedUpTo.seq - maxEvents
    if (excess > 0) {
      const row = this.#sql.of('topicAfterOffset').get(topic.id, topic.trimmedUpTo.n, excess - 1)
      if (row !== undefined) topic.trimmedUpTo = placeOf(row)
    }
    const cut = this.#ageCuts.of(maxAgeMs)
    if (cut !== undefined && cut.n > topic.trimmedUpTo.n) {
      const row = this.#sql.of('topicUpTo').get(topic.id, cut.n)
      const place = row === undefined ? undefined : placeOf(row)
      if (place !== undefined && place.n > topic.trimmedUpTo.n) topic.trimmedUpTo = place
    }
    return topic.trimmedUpTo
  }

  /** Takes note of a topic that has more rows than are kept. */
  noteExcess({ name, lastSeq, deletedUpTo, retention }: StoredTopic): void {
    if (lastSeq - deletedUpTo.seq > retention.maxEvents) this.#overfull.add(name)
  }

  /** The topics that had more rows than are kept, each once. */
  takeOverfull(): readonly Topic[] {
    const names = [...this.#overfull]
    this.#overfull.clear()
    return names
  }

  forget(name: Topic): void {
    this.#known.delete(name)
  }

  /** After a transaction that came to nothing: the database knows better. */
  forgetAll(): void {
    this.#known.clear()
  }

  *#rows(): Generator<Row> {
    // Nothing comes before the empty name, which the topic of what has none has.
    const nameless = this.#sql.of('findTopic').get(this.#log, NO_TOPIC)
    if (nameless !== undefined) yield nameless
    for (let after = NO_TOPIC; ; ) {
      const rows: readonly Row[] = this.#sql.of('topicsAfter').all(this.#log, after, PAGE)
      yield* rows
      const last = rows.at(-1)
      if (last === undefined || rows.length < PAGE) return
      after = textOf(last, 'name')
    }
  }

  #remember(topic: StoredTopic): StoredTopic {
    this.#known.set(topic.name, topic)
    this.#ageCuts.of(topic.retention.maxAgeMs)
    return topic
  }

  #read(row: Row): StoredTopic {
    const id = integerOf(row, 'id')
    const name = textOf(row, 'name')
    const deletedUpTo = { ...positionOf(row, 'trimmed_'), seq: integerOf(row, 'trimmed_seq') }
    const newest: Row | undefined = this.#sql.of('newestOfTopic').get(id)
    return {
      id,
      name,
      retention: this.#retention(name),
      deletedUpTo,
      trimmedUpTo: deletedUpTo,
      lastSeq: newest === undefined ? deletedUpTo.seq : integerOf(newest, 'seq'),
      empty: integerOf(row, 'empty') === 1,
    }
  }
}

export function placeOf(row: Row): TopicPlace {
  return { ...positionOf(row), seq: integerOf(row, 'seq') }
}
