import type { Connection } from '@tributary/hub'
import {
  CloseAnswer,
  CloseQuery,
  ConnectionList,
  ConnectionView,
  GroupStatus,
  HubStatus,
  Name,
  ProblemError,
  SubscriptionAnswer,
  SubscriptionChange,
  UserStatus,
} from '@tributary/protocol'
import { type App, principalOf, requireGroups, requireOwner } from '@tributary/service'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { Deps } from '../deps.ts'

export const ConnectionParams = Type.Object({ id: Name })
type ConnectionRequest = Pick<FastifyRequest, 'principal'> & { readonly params: { readonly id: string } }

/** The connection that a request names. @throws ProblemError `connection_not_found`; `forbidden` where it is another's. */
export function ownConnection(request: ConnectionRequest, { hub }: Pick<Deps, 'hub'>): Connection {
  const { id } = request.params
  const connection = hub.getConnection(id)
  if (connection === undefined) throw notFound(id)
  requireOwner(request, connection.userId)
  return connection
}

export function notFound(id: string): ProblemError {
  const message = `There is no connection ${JSON.stringify(id)}; it may have ended.`
  return new ProblemError('connection_not_found', message)
}

/** @throws ProblemError `forbidden`, which names the first group that the stream's own token does not let it join. */
function requireJoinable(connection: Connection, groups: readonly string[]): void {
  const refused = groups.find((group) => !connection.mayJoin(group))
  if (refused === undefined) return
  throw new ProblemError(
    'forbidden',
    `The stream's token does not let it join ${JSON.stringify(refused)}; give the stream one that does first.`,
  )
}

const tags = ['connections']

/** The routes that tell who is connected, and change or close connections. */
export function addConnections(app: App, { hub }: Deps): void {
  const findOwn = (request: ConnectionRequest) => ownConnection(request, { hub })
  const views = (connections: readonly Connection[]) => connections.map((connection) => connection.view())

  app.get(
    '/api/sse/managed/status',
    { schema: { tags, summary: 'How many are connected', response: { 200: HubStatus } } },
    async () => hub.status(),
  )
  app.get(
    '/api/sse/managed/status/user/:userId',
    {
      schema: {
        tags,
        summary: 'Whether a user is connected',
        params: Type.Object({ userId: Name }),
        response: { 200: UserStatus },
      },
    },
    async ({ params: { userId }, principal }) => {
      requireOwner({ principal }, userId)
      const connections = views(hub.connectionsOfUser(userId))
      const connectionCount = connections.length
      return { userId, connected: connectionCount > 0, connectionCount, connections }
    },
  )
  app.get(
    '/api/sse/managed/status/group/:groupId',
    {
      schema: {
        tags,
        summary: 'Who is in a group',
        params: Type.Object({ groupId: Name }),
        response: { 200: GroupStatus },
      },
    },
    async ({ params: { groupId } }) => {
      const connections = views(hub.connectionsOfGroup(groupId))
      const users = new Set(connections.flatMap(({ userId }) => userId ?? []))
      return { groupId, connectionCount: connections.length, users: [...users], connections }
    },
  )
  app.get(
    '/api/sse/managed/connections',
    { schema: { tags, summary: 'All connections', response: { 200: ConnectionList } } },
    async () => ({ connections: views(hub.connections()) }),
  )
  app.get(
    '/api/sse/managed/connections/:id',
    {
      schema: {
        tags,
        summary: 'One connection',
        params: ConnectionParams,
        response: { 200: ConnectionView },
      },
    },
    async (request) => findOwn(request).view(),
  )
  app.delete(
    '/api/sse/managed/connections',
    {
      schema: {
        tags,
        summary: 'Close all connections',
        querystring: CloseQuery,
        response: { 200: CloseAnswer },
      },
    },
    async ({ query }) => ({ success: true as const, closed: hub.closeAll('forced', query.reason) }),
  )
  app.delete(
    '/api/sse/managed/connections/:id',
    {
      schema: {
        tags,
        summary: 'Close a connection',
        params: ConnectionParams,
        querystring: CloseQuery,
        response: { 200: CloseAnswer },
      },
    },
    async (request) => {
      hub.close(findOwn(request).connectionId, request.query.reason)
      return { success: true as const, closed: 1 }
    },
  )
  app.post(
    '/api/sse/managed/connections/:id/subscriptions',
    {
      schema: {
        tags,
        summary: 'Join and leave groups on the open stream',
        params: ConnectionParams,
        body: SubscriptionChange,
        response: { 200: SubscriptionAnswer },
      },
    },
    async (request) => {
      const connection = findOwn(request)
      const { join = [], leave = [] } = request.body
      const principal = principalOf(request)
      requireGroups(principal, join)
      // By the token of the stream, too: else the group would be kept for longer than the one that lets it be joined.
      if (principal.userId === connection.userId) requireJoinable(connection, join)
      for (const group of leave) await hub.removeFromGroup(connection.connectionId, group)
      for (const group of join) await hub.addToGroup(connection.connectionId, group)
      return { connectionId: connection.connectionId, groups: [...connection.groups] }
    },
  )
}
