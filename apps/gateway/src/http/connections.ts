import type { CloseReceipt } from '@tributary/hub'
import {
  CloseAnswer,
  CloseQuery,
  ConnectionList,
  ConnectionListQuery,
  ConnectionView,
  DEFAULT_CONNECTION_LIMIT,
  GroupStatus,
  HubStatus,
  Name,
  SubscriptionAnswer,
  SubscriptionChange,
  UserStatus,
  unreachableOf,
} from '@tributary/protocol'
import { type App, principalOf, requireOwner } from '@tributary/service'
import Type from 'typebox'
import type { Deps } from '../deps.ts'

export const ConnectionParams = Type.Object({ id: Name })

const tags = ['connections']

/** The routes that tell who is connected, over all nodes, and change or close connections. */
export function addConnections(app: App, { hub, ownedConnections }: Deps): void {
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
        querystring: ConnectionListQuery,
        response: { 200: UserStatus },
      },
    },
    async ({ params: { userId }, principal, query }) => {
      requireOwner({ principal }, userId)
      const [connectionCount, page] = await Promise.all([
        hub.countForUser(userId),
        hub.connections({ ...paged(query), user: userId }),
      ])
      const local = { connectionCount: hub.local.countForUser(userId) }
      return { userId, connected: connectionCount > 0, connectionCount, local, ...pageAnswer(page) }
    },
  )
  app.get(
    '/api/sse/managed/status/group/:groupId',
    {
      schema: {
        tags,
        summary: 'Who is in a group',
        params: Type.Object({ groupId: Name }),
        querystring: ConnectionListQuery,
        response: { 200: GroupStatus },
      },
    },
    async ({ params: { groupId }, query }) => {
      const [connectionCount, page] = await Promise.all([
        hub.countForGroup(groupId),
        hub.connections({ ...paged(query), group: groupId }),
      ])
      const users = new Set(page.connections.flatMap(({ userId }) => userId ?? []))
      const local = { connectionCount: hub.local.connectionsOfGroup(groupId).length }
      return { groupId, connectionCount, users: [...users], local, ...pageAnswer(page) }
    },
  )
  app.get(
    '/api/sse/managed/connections',
    {
      schema: {
        tags,
        summary: 'All connections',
        querystring: ConnectionListQuery,
        response: { 200: ConnectionList },
      },
    },
    async ({ query }) => pageAnswer(await hub.connections(paged(query))),
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
    async (request) => ownedConnections.view(request.params.id, principalOf(request)),
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
    async ({ query }) => closeAnswer(await hub.closeAll(query.reason)),
  )
  app.delete(
    '/api/sse/managed/connections/user/:userId',
    {
      schema: {
        tags,
        summary: "Close a user's connections",
        params: Type.Object({ userId: Name }),
        querystring: CloseQuery,
        response: { 200: CloseAnswer },
      },
    },
    async ({ params: { userId }, query, principal }) => {
      requireOwner({ principal }, userId)
      return closeAnswer(await hub.closeUser(userId, query.reason))
    },
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
      const { id } = request.params
      const by = await ownedConnections.close(id, principalOf(request), request.query.reason)
      return closeAnswer({ closed: 1, local: Number(by.isLocal), acknowledged: [by.nodeId], unreachable: [] })
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
    async (request) => ownedConnections.subscribe(request.params.id, principalOf(request), request.body),
  )
}

function paged({ limit = DEFAULT_CONNECTION_LIMIT, after }: ConnectionListQuery) {
  return { limit, ...(after === undefined ? {} : { after }) }
}

type Page = Awaited<ReturnType<Deps['hub']['connections']>>

function pageAnswer({ connections, next, unreachable }: Page) {
  return {
    connections: [...connections],
    ...(next === undefined ? {} : { next }),
    ...unreachableOf(unreachable),
  }
}

function closeAnswer({ closed, local, acknowledged, unreachable }: CloseReceipt) {
  return {
    success: true as const,
    closed,
    local: { closed: local },
    acknowledged: [...acknowledged],
    ...unreachableOf(unreachable),
  }
}
