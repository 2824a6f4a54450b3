import {
  type Audience,
  audienceTopics,
  type Metadata,
  type NewEvent,
  type Priority,
  requireWholeText,
  singleLine,
  type Topic,
} from '@tributary/protocol'

const NO_TOPICS: readonly string[] = []

/** An entry that has no place yet: written out, so that nothing is wrong with it any more. */
export interface EntryDraft {
  readonly type: string
  readonly source: string
  readonly priority: Priority
  readonly metadata: Metadata | undefined
  readonly conflate: string | undefined
  readonly json: string
  readonly audience: Audience | undefined
  readonly topics: readonly Topic[]
}

/**
 * @throws FrameError on a type that no frame can carry; TypeError on data that is no JSON; ProblemError
 *   `invalid_request` on an audience that names somebody by what a store would make into another name.
 */
export function entryDraft(event: NewEvent, audience: Audience | undefined): EntryDraft {
  const { data, source, priority = 'normal', metadata, conflate } = event
  const json = event.json ?? JSON.stringify(data) ?? 'null'
  const type = singleLine('event', event.type)
  const topics = audience === undefined ? NO_TOPICS : audienceTopics(audience)
  requireWholeText(topics)
  return { type, source, priority, metadata, conflate, json, audience, topics }
}
