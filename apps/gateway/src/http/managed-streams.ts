import { ManagedStreamQuery, Name, ProblemError } from '@tributary/protocol'
import { type App, mayJoin, type Principal, principalOf, requireGroups } from '@tributary/service'
import type { FastifyReply } from 'fastify'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Deps } from '../deps.ts'

const GroupParams = Type.Object({ groupId: Name })
const groupsCheck = Compile(Type.Array(Name, { maxItems: 1_000 }))
const metadataCheck = Compile(Type.Record(Type.String(), Type.Unknown()))

const tags = ['streams']
const schema = { tags, querystring: ManagedStreamQuery, produces: ['text/event-stream'] }
// The hub answers while it drains: who comes back with a cursor is told to come again, within a stream.
const config = { whileDraining: 'serve' } as const

/** The streams of users and groups. */
export function addManagedStreams(app: App, deps: Deps): void {
  const connect = async (
    reply: FastifyReply,
    principal: Principal,
    query: ManagedStreamQuery,
    group?: string,
  ): Promise<void> => {
    const { timeout, events, format = 'payload' } = query
    return reply.connectToHub({
      ...(await memberOf(principal, query, deps, group)),
      form: { format, naming: 'standard' },
      ...(timeout === undefined ? {} : { timeoutMs: timeout }),
      ...(events === undefined ? {} : { events: namesOf(events) }),
    })
  }

  for (const url of ['/api/sse/managed/connect', '/api/sse', '/api/realtime/sse']) {
    app.get(url, { config, schema: { ...schema, summary: "A user's stream" } }, async (request, reply) => {
      await connect(reply, principalOf(request), request.query)
      return reply
    })
  }
  app.get(
    '/api/sse/managed/connect/group/:groupId',
    { config, schema: { ...schema, summary: "A user's stream that is in a group", params: GroupParams } },
    async (request, reply) => {
      await connect(reply, principalOf(request), request.query, request.params.groupId)
      return reply
    },
  )
}

/**
 * Whom a request gets events for.
 *
 * @throws ProblemError `forbidden` where a group may not be joined, or its presence seen; where the session is another
 *   user's.
 */
export async function memberOf(
  principal: Principal,
  {
    groups,
    sessionId,
    presence = false,
    metadata,
  }: Pick<ManagedStreamQuery, 'groups' | 'sessionId' | 'presence' | 'metadata'>,
  { config: { NODE_ENV }, sessionOwners }: Pick<Deps, 'config' | 'sessionOwners'>,
  group?: string,
) {
  const wanted = [...(group === undefined ? [] : [group]), ...groupsOf(groups)]
  requireGroups(principal, wanted)
  if (presence) requireSignedIn(principal)
  const said = metadataOf(metadata, NODE_ENV !== 'production')
  if (sessionId !== undefined) await sessionOwners.claim(sessionId, principal)
  return {
    credential: principal,
    userId: principal.userId,
    // Not of the address: nobody gives himself a role.
    roles: principal.roles,
    groups: wanted,
    presence,
    mayJoin: (name: string) => mayJoin(principal, name),
    metadata: { ...said, ...principal.metadata },
    ...(sessionId === undefined ? {} : { sessionId }),
  }
}

/** Who is in a group is shown to who may be in it, and says who he is. @throws ProblemError `forbidden` */
function requireSignedIn({ method }: Principal): void {
  if (method !== 'anonymous') return
  throw new ProblemError('forbidden', 'Who is there is not shown to anonymous users; send a token.')
}

/** The names of a comma-separated list. */
export function namesOf(list: string): string[] {
  return list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

function groupsOf(list = ''): string[] {
  const groups = namesOf(list)
  if (groupsCheck.Check(groups)) return groups
  const message = 'must be up to 1,000 names of 1 to 128 characters, separated by commas'
  throw new ProblemError('invalid_request', `"groups" ${message}.`, {
    errors: [{ path: 'query/groups', message }],
  })
}

/** What a user says of himself decides what he gets, so in production only his token may say it. */
function metadataOf(text: string | undefined, development: boolean): Record<string, unknown> {
  if (text === undefined) return {}
  if (!development) {
    throw new ProblemError('forbidden', '"metadata" is taken from the token; leave it out of the address.')
  }
  const metadata = parseJson(text)
  if (metadataCheck.Check(metadata)) return metadata
  const message = 'must be a JSON object, as {"premium":true}'
  throw new ProblemError('invalid_request', `"metadata" ${message}.`, {
    errors: [{ path: 'query/metadata', message }],
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
