/** Written into the file, so that one of another program is not taken for ours: "TRIB". */
export const APPLICATION_ID = 0x54524942

/**
 * What makes each version of the schema from the one before; a file's own version is its `user_version`. A
 * migration that was released is never changed: the next one is added below it.
 */
export const MIGRATIONS: readonly string[] = [
  `
  -- A log without a name was dropped, and what is left of it is being deleted. The head stands here as of the
  -- last trim: the newest row of events is ahead of it, where there is one.
  CREATE TABLE logs (
    id INTEGER PRIMARY KEY,
    name TEXT UNIQUE,
    run_id TEXT,
    opened_ms INTEGER NOT NULL,
    head_ms INTEGER NOT NULL,
    head_n INTEGER NOT NULL DEFAULT 0,
    closed INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0,
    -- Up to where something is gone that may have been under any topic.
    lost_ms INTEGER NOT NULL DEFAULT 0,
    lost_n INTEGER NOT NULL DEFAULT 0,
    -- Up to where the log of a run was trimmed; it has no topics.
    trimmed_ms INTEGER NOT NULL DEFAULT 0,
    trimmed_n INTEGER NOT NULL DEFAULT 0
  ) STRICT;

  -- topics: under how many it was appended; 0 in the log of a run. No priority: normal.
  -- Not WITHOUT ROWID, as the others are: a row of more than a quarter of a page would take a whole page beside it.
  CREATE TABLE events (
    log INTEGER NOT NULL,
    n INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    topics INTEGER NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    priority TEXT,
    metadata TEXT,
    audience TEXT,
    data TEXT NOT NULL,
    PRIMARY KEY (log, n)
  ) STRICT;

  -- empty: whether its last event was trimmed away. trimmed_seq: how many events were.
  CREATE TABLE topics (
    id INTEGER PRIMARY KEY,
    log INTEGER NOT NULL,
    name TEXT NOT NULL,
    trimmed_ms INTEGER NOT NULL DEFAULT 0,
    trimmed_n INTEGER NOT NULL DEFAULT 0,
    trimmed_seq INTEGER NOT NULL DEFAULT 0,
    empty INTEGER NOT NULL DEFAULT 0,
    UNIQUE (log, name)
  ) STRICT;
  CREATE INDEX empty_topics ON topics (log, trimmed_n) WHERE empty = 1;

  -- seq: its number within the topic, from 1 without holes.
  CREATE TABLE topic_events (
    topic INTEGER NOT NULL,
    n INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (topic, n)
  ) STRICT, WITHOUT ROWID;

  -- first: what the first event of the append got; n is 0 where it had none.
  CREATE TABLE once_keys (
    log INTEGER NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    first_n INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (log, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX once_keys_by_end ON once_keys (expires_ms);

  CREATE TABLE attributes (
    log INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (log, name)
  ) STRICT, WITHOUT ROWID;

  -- Written to find out whether the disk takes anything again.
  CREATE TABLE probe (id INTEGER PRIMARY KEY, filling BLOB NOT NULL) STRICT;
  `,
]

export const SCHEMA_VERSION = MIGRATIONS.length
