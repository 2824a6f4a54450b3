import { audienceTopics, Metadata, type Position, Priority, Where } from '@tributary/protocol'
import { RedisReplyError } from '@tributary/redis'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { type EntryDraft, entryDraft } from '../entry-draft.ts'
import type { Append, LogEntry } from '../event-log.ts'
import { placedEntry } from '../log-entry.ts'

const Names = Type.Optional(Type.Array(Type.String()))

/** What an entry is beside its data and its place, as it is stored and told. */
const StoredHead = Type.Object({
  type: Type.String(),
  source: Type.String(),
  priority: Type.Optional(Priority),
  metadata: Type.Optional(Metadata),
  conflate: Type.Optional(Type.String()),
  origin: Type.Optional(Type.String()),
  mark: Type.Optional(Type.String()),
  audience: Type.Optional(
    Type.Object({
      all: Type.Optional(Type.Literal(true)),
      users: Names,
      groups: Names,
      roles: Names,
      sessions: Names,
      connections: Names,
      only: Type.Optional(
        Type.Object({
          user: Type.Optional(Type.String()),
          session: Type.Optional(Type.String()),
          connections: Names,
        }),
      ),
      where: Type.Optional(Where),
    }),
  ),
})

const validator = Compile(StoredHead)

/** An entry that has no place yet, and what is stored of it beside its data. */
export interface StoredDraft extends EntryDraft {
  /** All but who appends it. */
  readonly head: string
}

/** What is stored of a draft beside its data, with who appends it, and what its key makes it known by. */
export function storedHead({ head }: StoredDraft, origin: string, mark?: string): string {
  const known = JSON.stringify({ origin, mark })
  return `${known.slice(0, -1)},${head.slice(1)}`
}

/** @throws as `entryDraft` */
export function storedDraft({ event, audience }: Append): StoredDraft {
  const draft = entryDraft(event, audience)
  const { type, source, priority, metadata, conflate } = draft
  const head: Static<typeof StoredHead> = {
    type,
    source,
    ...(priority === 'normal' ? {} : { priority }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(conflate === undefined ? {} : { conflate }),
  }
  return { ...draft, head: JSON.stringify(audience === undefined ? head : { ...head, audience }) }
}

/** The entry of what was stored. @throws RedisReplyError where it was none of ours. */
export function storedEntry(head: string, json: string, position: Position, id: string): LogEntry {
  const { origin, mark, ...said } = parsedHead(head)
  const entry = placedEntry(draftOf(said, json), position, id)
  if (origin === undefined) return entry
  return mark === undefined ? { ...entry, origin } : { ...entry, origin, aliases: [mark] }
}

/** The same; `undefined` where it was none of ours, in its data, too. */
export function readableEntry(head: string, json: string, position: Position, id: string) {
  try {
    JSON.parse(json)
    return storedEntry(head, json, position, id)
  } catch (error) {
    if (error instanceof RedisReplyError || error instanceof SyntaxError) return undefined
    throw error
  }
}

/** What an ephemeral event was told as. @throws as `storedEntry` */
export function toldDraft(head: string, json: string): EntryDraft {
  return draftOf(parsedHead(head), json)
}

function draftOf(
  { type, source, priority = 'normal', metadata, conflate, audience }: Static<typeof StoredHead>,
  json: string,
): EntryDraft {
  const topics = audience === undefined ? [] : audienceTopics(audience)
  return { type, source, priority, metadata, conflate, json, audience, topics }
}

function parsedHead(text: string): Static<typeof StoredHead> {
  let head: unknown
  try {
    head = JSON.parse(text)
  } catch (cause) {
    throw new RedisReplyError('an entry of a log that is no JSON', cause)
  }
  if (validator.Check(head)) return head
  throw new RedisReplyError('an entry of a log that is none of ours')
}
