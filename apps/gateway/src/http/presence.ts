import { DEFAULT_PRESENCE_LIMIT, GroupPresence, Name, PresenceQuery, UserPresence } from '@tributary/protocol'
import { type App, principalOf, requireGroups, requireOwner } from '@tributary/service'
import Type from 'typebox'
import type { Deps } from '../deps.ts'

const tags = ['presence']

/** The routes that tell who is there, over all nodes. */
export function addPresence(app: App, { hub }: Deps): void {
  app.get(
    '/api/sse/managed/presence/group/:groupId',
    {
      schema: {
        tags,
        summary: 'Who is in a group',
        description:
          'Each user once, however many streams he has. For who may join the group. A stream with `?presence=true` from ' +
          'the `cursor` of the first page is told every change since, as `presence_join` and `presence_leave`.',
        params: Type.Object({ groupId: Name }),
        querystring: PresenceQuery,
        response: { 200: GroupPresence },
      },
    },
    async (request, reply) => {
      const { groupId } = request.params
      requireGroups(principalOf(request), [groupId])
      const { limit = DEFAULT_PRESENCE_LIMIT, after } = request.query
      reply.header('cache-control', 'no-store')
      return hub.presenceOfGroup(groupId, { limit, ...(after === undefined ? {} : { after }) })
    },
  )
  app.get(
    '/api/sse/managed/presence/user/:userId',
    {
      schema: {
        tags,
        summary: 'Whether a user is there, since when, and in which groups',
        params: Type.Object({ userId: Name }),
        response: { 200: UserPresence },
      },
    },
    async (request, reply) => {
      const { userId } = request.params
      requireOwner(request, userId)
      reply.header('cache-control', 'no-store')
      return hub.presenceOfUser(userId)
    },
  )
}
