import type { DatabaseSync, StatementSync } from 'node:sqlite'

/** Every statement that the store runs, once it is open. Parameters by their place. */
const SQL = {
  begin: 'BEGIN',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',

  // Logs: 1 is the log, unless it says otherwise.
  findLog: 'SELECT * FROM logs WHERE name = ?1',
  insertLog: 'INSERT INTO logs (name, run_id, opened_ms, head_ms) VALUES (?1, ?2, ?3, ?3) RETURNING id',
  setClosed: 'UPDATE logs SET closed = 1 WHERE id = ?1',
  setEpoch: 'UPDATE logs SET epoch = ?2 WHERE id = ?1',
  setHead: 'UPDATE logs SET head_ms = ?2, head_n = ?3 WHERE id = ?1',
  setTrimmed: 'UPDATE logs SET trimmed_ms = ?2, trimmed_n = ?3 WHERE id = ?1',
  setLost: 'UPDATE logs SET lost_ms = ?2, lost_n = ?3 WHERE id = ?1 AND lost_n < ?3',
  // 1: only names from here on. 2: not this one. 3: before this one. 4: how many.
  listLogs: 'SELECT * FROM logs WHERE name >= ?1 AND name <> ?2 AND name < ?3 ORDER BY name LIMIT ?4',

  setAttribute: 'INSERT OR REPLACE INTO attributes (log, name, value) VALUES (?1, ?2, ?3)',
  deleteAttribute: 'DELETE FROM attributes WHERE log = ?1 AND name = ?2',
  attributes: 'SELECT name, value FROM attributes WHERE log = ?1',

  findOnce: 'SELECT * FROM once_keys WHERE log = ?1 AND key = ?2',
  insertOnce: 'INSERT OR REPLACE INTO once_keys VALUES (?1, ?2, ?3, ?4, ?5, ?6)',
  anyExpiredOnce: 'SELECT 1 FROM once_keys WHERE expires_ms <= ?1 LIMIT 1',
  deleteExpiredOnce: `DELETE FROM once_keys WHERE (log, key) IN
    (SELECT log, key FROM once_keys WHERE expires_ms <= ?1 LIMIT ?2)`,

  // Events: 1 is the log, 2 a number.
  insertEvent: 'INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)',
  newestEvents: 'SELECT * FROM events WHERE log = ?1 ORDER BY n DESC LIMIT ?2',
  eventsAfter: 'SELECT * FROM events WHERE log = ?1 AND n > ?2 ORDER BY n LIMIT ?3',
  findEvent: 'SELECT * FROM events WHERE log = ?1 AND n = ?2',
  placeAfter: 'SELECT n, ms FROM events WHERE log = ?1 AND n > ?2 ORDER BY n LIMIT 1',
  placeUpTo: 'SELECT n, ms FROM events WHERE log = ?1 AND n <= ?2 ORDER BY n DESC LIMIT 1',
  audienceOf: 'SELECT audience FROM events WHERE log = ?1 AND n = ?2',
  // 3: up to which number. 4: how many.
  audiencesAfter:
    'SELECT n, ms, audience FROM events WHERE log = ?1 AND n > ?2 AND n <= ?3 ORDER BY n LIMIT ?4',
  // Of their data.
  countBytes: 'SELECT coalesce(sum(octet_length(data)), 0) AS bytes FROM events WHERE log = ?1',
  countBytesUpTo:
    'SELECT coalesce(sum(octet_length(data)), 0) AS bytes FROM events WHERE log = ?1 AND n <= ?2',
  // 2: how many.
  oldestEvents: `SELECT n, ms, audience, octet_length(data) AS bytes FROM events
    WHERE log = ?1 ORDER BY n LIMIT ?2`,
  deleteEvent: 'DELETE FROM events WHERE log = ?1 AND n = ?2 RETURNING octet_length(data) AS bytes',
  deleteEventOfOneTopic: `DELETE FROM events WHERE log = ?1 AND n = ?2 AND topics = 1
    RETURNING octet_length(data) AS bytes`,
  // 3: how many.
  oldestUpTo: 'SELECT n, ms FROM events WHERE log = ?1 AND n <= ?2 ORDER BY n LIMIT 1 OFFSET ?3',
  deleteEventsUpTo: 'DELETE FROM events WHERE log = ?1 AND n <= ?2',

  // Topics of a log: 1 is the log.
  findTopic: 'SELECT * FROM topics WHERE log = ?1 AND name = ?2',
  insertTopic: 'INSERT INTO topics (log, name) VALUES (?1, ?2) RETURNING id',
  topicsAfter: 'SELECT * FROM topics WHERE log = ?1 AND name > ?2 ORDER BY name LIMIT ?3',
  // 1 is the topic from here on.
  trimTopic: 'UPDATE topics SET trimmed_ms = ?2, trimmed_n = ?3, trimmed_seq = ?4, empty = ?5 WHERE id = ?1',
  refillTopic: 'UPDATE topics SET empty = 0 WHERE id = ?1',
  deleteTopic: 'DELETE FROM topics WHERE id = ?1',
  // Of a log, those that were emptied up to a number, or the oldest of them.
  emptyTopics: `SELECT id, name, trimmed_ms AS ms, trimmed_n AS n FROM topics
    WHERE log = ?1 AND empty = 1 ORDER BY trimmed_n LIMIT ?2`,
  countEmptyTopics: 'SELECT count(*) AS count FROM topics WHERE log = ?1 AND empty = 1',

  // Events of a topic: 1 is the topic.
  insertTopicEvent: 'INSERT INTO topic_events VALUES (?1, ?2, ?3, ?4)',
  newestOfTopic: 'SELECT n, ms, seq FROM topic_events WHERE topic = ?1 ORDER BY n DESC LIMIT 1',
  topicAfter: 'SELECT n, ms, seq FROM topic_events WHERE topic = ?1 AND n > ?2 ORDER BY n LIMIT 1',
  topicUpTo: 'SELECT n, ms, seq FROM topic_events WHERE topic = ?1 AND n <= ?2 ORDER BY n DESC LIMIT 1',
  // 3: how many to pass over.
  topicAfterOffset:
    'SELECT n, ms, seq FROM topic_events WHERE topic = ?1 AND n > ?2 ORDER BY n LIMIT 1 OFFSET ?3',
  // 3: how many.
  topicOldest: 'SELECT n, ms, seq FROM topic_events WHERE topic = ?1 AND n <= ?2 ORDER BY n LIMIT ?3',
  isInTopic: 'SELECT 1 FROM topic_events WHERE topic = ?1 AND n = ?2',
  deleteTopicUpTo: 'DELETE FROM topic_events WHERE topic = ?1 AND n <= ?2',

  // What is left of a dropped log, a slice at a time. 2: how many rows.
  findDropped: 'SELECT id FROM logs WHERE name IS NULL LIMIT 1',
  dropLog: 'UPDATE logs SET name = NULL WHERE name = ?1',
  anyTopic: 'SELECT id FROM topics WHERE log = ?1 LIMIT 1',
  reapEvents: `DELETE FROM events WHERE log = ?1 AND n <=
    (SELECT max(n) FROM (SELECT n FROM events WHERE log = ?1 ORDER BY n LIMIT ?2))`,
  reapTopicEvents: `DELETE FROM topic_events WHERE topic = ?1 AND n <=
    (SELECT max(n) FROM (SELECT n FROM topic_events WHERE topic = ?1 ORDER BY n LIMIT ?2))`,
  reapOnce: `DELETE FROM once_keys WHERE log = ?1 AND key <=
    (SELECT max(key) FROM (SELECT key FROM once_keys WHERE log = ?1 ORDER BY key LIMIT ?2))`,
  reapAttributes: 'DELETE FROM attributes WHERE log = ?1',
  reapLog: 'DELETE FROM logs WHERE id = ?1',

  fillProbe: 'INSERT OR REPLACE INTO probe VALUES (1, zeroblob(?1))',
  clearProbe: 'DELETE FROM probe',
} as const

export type StatementName = keyof typeof SQL

/** The numbers of several topics' events, in order, each once. 1 is the limit; then a topic and a number each. */
function numbersSql(count: number): string {
  const parts = Array.from(
    { length: count },
    (_, i) => `SELECT n FROM topic_events WHERE topic = ?${2 * i + 2} AND n > ?${2 * i + 3}`,
  )
  return `${parts.join(' UNION ')} ORDER BY n LIMIT ?1`
}

/** The statements, each prepared when it is first needed. */
export class Statements {
  readonly #db: DatabaseSync
  readonly #prepared = new Map<StatementName | number, StatementSync>()

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  of(name: StatementName): StatementSync {
    return this.#prepared.get(name) ?? this.#prepare(name, SQL[name])
  }

  /** For this many topics. Unknown topics have no events, so that one statement serves fewer, too. */
  numbersOf(topicCount: number): StatementSync {
    return this.#prepared.get(topicCount) ?? this.#prepare(topicCount, numbersSql(topicCount))
  }

  #prepare(key: StatementName | number, sql: string): StatementSync {
    const statement = this.#db.prepare(sql)
    this.#prepared.set(key, statement)
    return statement
  }
}
