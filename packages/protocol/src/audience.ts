import Type, { type Static } from 'typebox'

/** Equality on connection metadata: every named key must hold exactly this value. */
export const Where = Type.Record(
  Type.String(),
  Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]),
  { description: 'Only connections whose metadata holds each of these values.' },
)
export type Where = Static<typeof Where>

/**
 * Whom an event is for: the union of the lists and of `only`, narrowed by `where`.
 *
 * `only` is the intersection of its own parts, so that a user named together with a session reaches that
 * session of that user and no stranger.
 */
export interface Audience {
  readonly all?: true
  readonly users?: readonly string[]
  readonly groups?: readonly string[]
  readonly roles?: readonly string[]
  readonly sessions?: readonly string[]
  readonly connections?: readonly string[]
  /** Who asked to be told of who comes and goes in these groups, and is in them. */
  readonly presence?: readonly string[]
  readonly only?: {
    readonly user?: string
    readonly session?: string
    readonly connections?: readonly string[]
  }
  readonly where?: Where
}

/** What of a connection decides whether an audience includes it. */
export interface AudienceMember {
  readonly connectionId: string
  readonly userId?: string | undefined
  readonly sessionId?: string | undefined
  readonly groups: ReadonlySet<string>
  readonly roles: ReadonlySet<string>
  /** Whether it asked to be told of who comes and goes in its groups. Default: no. */
  readonly presence?: boolean
  readonly metadata: Readonly<Record<string, unknown>>
}

/** The internal address that a log indexes by: `all`, `user:42`, `group:chat`, … */
export type Topic = string

export const ALL_TOPIC: Topic = 'all'
export const userTopic = (userId: string): Topic => `user:${userId}`
export const groupTopic = (group: string): Topic => `group:${group}`
export const roleTopic = (role: string): Topic => `role:${role}`
export const sessionTopic = (sessionId: string): Topic => `session:${sessionId}`
/** Where who comes and goes in a group is told. */
export const presenceTopic = (group: string): Topic => `presence:${group}`
const CONNECTION = 'connection:'
export const connectionTopic = (connectionId: string): Topic => CONNECTION + connectionId
/** The connection whose topic it is; `undefined` of any other topic. */
export const connectionOfTopic = (topic: Topic): string | undefined =>
  topic.startsWith(CONNECTION) ? topic.slice(CONNECTION.length) : undefined

/** The topics an audience is appended under. A member may still be excluded by `only` or `where`. */
export function audienceTopics(audience: Audience): Topic[] {
  const topics = new Set<Topic>()
  if (audience.all === true) topics.add(ALL_TOPIC)
  for (const user of audience.users ?? []) topics.add(userTopic(user))
  for (const group of audience.groups ?? []) topics.add(groupTopic(group))
  for (const role of audience.roles ?? []) topics.add(roleTopic(role))
  for (const session of audience.sessions ?? []) topics.add(sessionTopic(session))
  for (const connection of audience.connections ?? []) topics.add(connectionTopic(connection))
  for (const group of audience.presence ?? []) topics.add(presenceTopic(group))
  for (const topic of narrowestTopics(audience.only)) topics.add(topic)
  return [...topics]
}

function narrowestTopics(only: Audience['only']): Topic[] {
  if (only === undefined) return []
  if (only.connections !== undefined) return only.connections.map(connectionTopic)
  if (only.session !== undefined) return [sessionTopic(only.session)]
  return only.user === undefined ? [] : [userTopic(only.user)]
}

/**
 * Whether an audience includes everybody who is under one of its topics. Elsewhere each has to be asked about with
 * `audienceIncludes`.
 */
export function includesAllUnderTopics({ where, only }: Audience): boolean {
  return where === undefined && only === undefined
}

/** The topics whose events may be for this member. */
export function memberTopics(member: AudienceMember): Topic[] {
  return [ALL_TOPIC, connectionTopic(member.connectionId), ...sharedTopics(member)]
}

/** Those of them that others may have, too, and not all have: its user's, its session's, its groups' and roles'. */
export function sharedTopics(member: AudienceMember): Topic[] {
  const topics: Topic[] = []
  if (member.userId !== undefined) topics.push(userTopic(member.userId))
  if (member.sessionId !== undefined) topics.push(sessionTopic(member.sessionId))
  for (const group of member.groups) {
    topics.push(groupTopic(group))
    if (member.presence === true) topics.push(presenceTopic(group))
  }
  for (const role of member.roles) topics.push(roleTopic(role))
  return topics
}

/** Whether an audience includes a member. */
export function audienceIncludes(audience: Audience, member: AudienceMember): boolean {
  return isAddressed(audience, member) && (audience.where === undefined || holds(audience.where, member))
}

function isAddressed(audience: Audience, member: AudienceMember): boolean {
  if (audience.all === true) return true
  const { userId, sessionId, connectionId } = member
  if (userId !== undefined && isAmong(audience.users, userId)) return true
  if (sessionId !== undefined && isAmong(audience.sessions, sessionId)) return true
  if (isAmong(audience.connections, connectionId)) return true
  if (hasOneOf(member.groups, audience.groups) || hasOneOf(member.roles, audience.roles)) return true
  if (member.presence === true && hasOneOf(member.groups, audience.presence)) return true
  return audience.only !== undefined && isOnly(audience.only, member)
}

function hasOneOf(names: ReadonlySet<string>, wanted: readonly string[] | undefined): boolean {
  if (wanted === undefined) return false
  for (const name of wanted) if (names.has(name)) return true
  return false
}

function isOnly(only: NonNullable<Audience['only']>, member: AudienceMember): boolean {
  if (only.user === undefined && only.session === undefined && only.connections === undefined) return false
  if (only.user !== undefined && only.user !== member.userId) return false
  if (only.session !== undefined && only.session !== member.sessionId) return false
  return only.connections === undefined || isAmong(only.connections, member.connectionId)
}

/** Lists longer than this are looked up in a set. */
const LONG_LIST = 16
// A list of ten thousand is asked about as many members: searching it each time would hold up everybody.
const setOf = new WeakMap<readonly string[], ReadonlySet<string>>()

function isAmong(names: readonly string[] | undefined, name: string): boolean {
  if (names === undefined || names.length <= LONG_LIST) return names?.includes(name) ?? false
  let set = setOf.get(names)
  if (set === undefined) {
    set = new Set(names)
    setOf.set(names, set)
  }
  return set.has(name)
}

function holds(where: Where, member: AudienceMember): boolean {
  for (const [key, value] of Object.entries(where)) {
    if (!Object.hasOwn(member.metadata, key) || member.metadata[key] !== value) return false
  }
  return true
}
