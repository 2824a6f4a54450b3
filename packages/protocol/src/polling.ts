import Type, { type Static } from 'typebox'
import { GapData } from './control-event.ts'
import { EventEnvelope } from './event.ts'

export const DEFAULT_POLL_LIMIT = 100
export const MAX_POLL_LIMIT = 1_000
/** Shorter than the minute after which proxies commonly give up an answer that has not begun. */
export const MAX_POLL_WAIT_MS = 55_000

/** What every poll takes, beside its cursor. */
export const pollQuery = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_POLL_LIMIT,
      description: `The most events in the answer. Default ${DEFAULT_POLL_LIMIT}.`,
    }),
  ),
  wait: Type.Optional(
    Type.Integer({
      minimum: 0,
      description: `Milliseconds to wait for the first event; clamped to ${MAX_POLL_WAIT_MS}. Default 0.`,
    }),
  ),
}

export const PollQuery = Type.Object(pollQuery)
export type PollQuery = Static<typeof PollQuery>

/** A page of a log. Its cursor is the same as a stream's, so a reader may change between the two at any event. */
export const PollAnswer = Type.Object(
  {
    events: Type.Array(EventEnvelope, { description: 'In order.' }),
    cursor: Type.String({
      description: 'Where the reader has come to, also where no event was for it. Present it next time.',
    }),
    gap: Type.Optional(GapData),
    hasMore: Type.Boolean({ description: 'Whether there is more at once: then ask again without waiting.' }),
    ended: Type.Boolean({
      description: 'Whether this is all there will ever be, as after the end of a run.',
    }),
  },
  { title: 'Page' },
)
export type PollAnswer = Static<typeof PollAnswer>
