import {
  type Audience,
  audienceTopics,
  type Metadata,
  type Position,
  Priority,
  type Topic,
} from '@tributary/protocol'
import { type EntryDraft, entryDraft } from '../entry-draft.ts'
import type { Append, LogEntry } from '../event-log.ts'
import { placedEntry } from '../log-entry.ts'
import { indexedTopics, NO_TOPIC } from '../log-window.ts'
import { optionalTextOf, parsedOf, positionOf, type Row, textOf } from './row.ts'

const parseMetadata = (text: string): Metadata => JSON.parse(text)
const parseAudience = (text: string): Audience => JSON.parse(text)

/** An entry that has no place yet, and the texts of its row. */
export interface RowDraft {
  readonly entry: EntryDraft
  readonly metadata: string | null
  readonly audience: string | null
}

/** @throws as `entryDraft` */
export function rowDraft({ event, audience }: Append): RowDraft {
  const entry = entryDraft(event, audience)
  const { metadata } = event
  return {
    entry,
    metadata: metadata === undefined ? null : JSON.stringify(metadata),
    audience: audience === undefined ? null : JSON.stringify(audience),
  }
}

/** The entry of a row; its data stays the text that it is. */
export function entryOf(row: Row, idOf: (position: Position) => string): LogEntry {
  const position = positionOf(row)
  const audience = audienceOf(row)
  const metadata = parsedOf(row, 'metadata', parseMetadata)
  const draft = {
    type: textOf(row, 'type'),
    source: textOf(row, 'source'),
    priority: priorityOf(row),
    metadata,
    // Who reads from the disk reads at his own pace.
    conflate: undefined,
    json: textOf(row, 'data'),
    audience,
    topics: audience === undefined ? [] : audienceTopics(audience),
  }
  return placedEntry(draft, position, idOf(position))
}

/** The topics that a row is found by, in a log that has topics. */
export function topicsOf(row: Row): readonly Topic[] {
  const audience = audienceOf(row)
  return audience === undefined ? [NO_TOPIC] : indexedTopics(audienceTopics(audience))
}

function audienceOf(row: Row): Audience | undefined {
  return parsedOf(row, 'audience', parseAudience)
}

function priorityOf(row: Row): Priority {
  const text = optionalTextOf(row, 'priority')
  return Priority.enum.find((priority) => priority === text) ?? 'normal'
}
