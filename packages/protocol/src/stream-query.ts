import Type, { type Static } from 'typebox'
import { Name } from './name.ts'
import { pollQuery } from './polling.ts'

/** With the marks of what a reader was sent while the log could not be reached. */
const MAX_CURSOR_CHARS = 1_024

/** How an event's data is written: the payload alone, or the whole event. */
export const StreamFormat = Type.Enum(['payload', 'envelope'])
export type StreamFormat = Static<typeof StreamFormat>

/** What every stream takes. */
export const streamQuery = {
  format: Type.Optional(StreamFormat),
  events: Type.Optional(
    Type.String({
      maxLength: 4096,
      description: 'Only these types, comma-separated. Control frames always come.',
    }),
  ),
  timeout: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'Milliseconds until the stream ends, to be resumed; clamped to the maximum.',
    }),
  ),
  lastEventId: Type.Optional(
    Type.String({ maxLength: MAX_CURSOR_CHARS, description: 'The cursor, where no header can be sent.' }),
  ),
  since: Type.Optional(
    Type.String({
      maxLength: MAX_CURSOR_CHARS,
      description: 'The same; milliseconds alone: everything later.',
    }),
  ),
  token: Type.Optional(
    Type.String({ maxLength: 8192, description: 'The token, where no header can be sent.' }),
  ),
  userId: Type.Optional(
    Type.String({
      ...Name,
      description: 'In development, from this machine and without a token: who you are, without a role.',
    }),
  ),
}

export const StreamQuery = Type.Object(streamQuery)
export type StreamQuery = Static<typeof StreamQuery>

/** What a reader of a run's events may say: of a stream, or of a page. */
export const RunEventsQuery = Type.Object({
  ...streamQuery,
  ...pollQuery,
  after: Type.Optional(
    Type.String({ maxLength: 128, description: 'Of a page: the `cursor` of the one before.' }),
  ),
})
export type RunEventsQuery = Static<typeof RunEventsQuery>

const managedQuery = {
  groups: Type.Optional(Type.String({ maxLength: 8192, description: 'Groups to join, comma-separated.' })),
  sessionId: Type.Optional(Name),
  presence: Type.Optional(
    Type.Boolean({
      description:
        'Whether to be told who comes into the groups and who leaves them: `presence_join`, `presence_leave`.',
    }),
  ),
  metadata: Type.Optional(
    Type.String({ maxLength: 8192, description: 'Development only: connection metadata, as a JSON object.' }),
  ),
}

export const ManagedStreamQuery = Type.Object({ ...streamQuery, ...managedQuery })
export type ManagedStreamQuery = Static<typeof ManagedStreamQuery>

/** A page of what a managed stream of the same would get. */
export const ManagedPollQuery = Type.Object({
  ...pollQuery,
  since: Type.Optional(
    Type.String({
      maxLength: MAX_CURSOR_CHARS,
      description:
        'The cursor: that of the answer before, the id of an event, or milliseconds since 1970; `0` is the oldest ' +
        'kept. Without one the answer is at once, with no events and the cursor to wait from.',
    }),
  ),
  lastEventId: streamQuery.lastEventId,
  types: Type.Optional(
    Type.String({ maxLength: 4096, description: 'Only these types of event, comma-separated.' }),
  ),
  token: streamQuery.token,
  userId: streamQuery.userId,
  ...managedQuery,
})
export type ManagedPollQuery = Static<typeof ManagedPollQuery>
