import type { PresenceMember } from '@tributary/protocol'
import { RedisReplyError } from '@tributary/redis'
import Type, { type Static, type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Announcement, ConnectionEntry } from '../registry/connection-registry.ts'
import { Announced } from '../registry/stay-records.ts'

const Entry = Type.Object({
  connectionId: Type.String(),
  nodeId: Type.String(),
  token: Type.String(),
  userId: Type.Optional(Type.String()),
  groups: Type.Optional(Type.Array(Type.String())),
  shown: Type.Optional(Type.String()),
})

const Member = Type.Object({
  userId: Type.String(),
  stayId: Type.String(),
  since: Type.Number(),
  connectionCount: Type.Integer(),
  shown: Type.Optional(Type.String()),
})

const readEntry = reader(Entry, 'a connection')
const readAnnounced = reader(Announced, 'an announcement')
const readMember = reader(Member, 'a member of a group')

export function entriesIn(texts: readonly string[]): ConnectionEntry[] {
  return texts.map((text) => {
    const { groups = [], ...entry } = readEntry(text)
    return { ...entry, groups }
  })
}

export function announcementsIn(texts: readonly string[]): Announcement[] {
  return texts.map((text) => readAnnounced(text))
}

export function membersIn(texts: readonly string[]): PresenceMember[] {
  return texts.map((text) => {
    const { shown, ...member } = readMember(text)
    return { ...member, ...(shown === undefined ? {} : { metadata: JSON.parse(shown) }) }
  })
}

/** Reads what a script answered. @throws RedisReplyError where it is none: somebody else wrote there, or another version. */
function reader<S extends TSchema>(schema: S, what: string): (text: string) => Static<S> {
  const check = Compile(schema)
  return (text) => {
    const value: unknown = JSON.parse(text)
    if (check.Check(value)) return value
    throw new RedisReplyError(`${what} that is none of this version: ${text.slice(0, 200)}`)
  }
}
