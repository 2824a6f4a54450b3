import {
  type Audience,
  FilteredSend,
  ManagedSend,
  Name,
  ProblemError,
  Publish,
  SendAnswer,
  TestEvent,
} from '@tributary/protocol'
import { type App, principalOf } from '@tributary/service'
import Type from 'typebox'
import { Value } from 'typebox/value'
import type { Deps } from '../deps.ts'

const UserParams = Type.Object({ userId: Name })
const GroupParams = Type.Object({ groupId: Name })

/** `{event, data, …}` where one of the two is there; else any JSON, which is then itself the data. */
const ManagedBody = Type.Unsafe<unknown>({
  if: { type: 'object', anyOf: [{ required: ['event'] }, { required: ['data'] }] },
  // biome-ignore lint/suspicious/noThenProperty: JSON Schema calls it so
  then: ManagedSend,
  else: {},
})

const tags = ['publishing']
const response = { 200: SendAnswer }

/** The routes that send events. */
export function addPublishing(app: App, { hub }: Deps): void {
  const sendManaged = (audience: Audience, body: unknown, source: string) => {
    const { event = 'message', data, ...options } = managedSend(body)
    return hub.publish(audience, event, data, { ...options, source })
  }

  app.post(
    '/api/sse/managed/send/user/:userId',
    { schema: { tags, summary: 'Send to a user', params: UserParams, body: ManagedBody, response } },
    (request) => sendManaged({ users: [request.params.userId] }, request.body, principalOf(request).userId),
  )
  app.post(
    '/api/sse/managed/broadcast/group/:groupId',
    { schema: { tags, summary: 'Send to a group', params: GroupParams, body: ManagedBody, response } },
    (request) => sendManaged({ groups: [request.params.groupId] }, request.body, principalOf(request).userId),
  )
  app.post(
    '/api/sse/managed/broadcast',
    { schema: { tags, summary: 'Send to all', body: ManagedBody, response } },
    (request) => sendManaged({ all: true }, request.body, principalOf(request).userId),
  )
  app.post(
    '/api/sse/managed/send/filtered',
    { schema: { tags, summary: 'Send to whose metadata holds `where`', body: FilteredSend, response } },
    (request) => {
      const { where, ...send } = request.body
      return sendManaged({ all: true, where }, { data: null, ...send }, principalOf(request).userId)
    },
  )
  app.post(
    '/api/sse',
    { schema: { tags, summary: 'Send to any audience', body: Publish, response } },
    (request) => {
      const { event, data, priority, metadata, ephemeral } = request.body
      return hub.publish(audienceOf(request.body), event, data, {
        source: principalOf(request).userId,
        ...(priority === undefined ? {} : { priority }),
        ...(metadata === undefined ? {} : { metadata }),
        ...(ephemeral === undefined ? {} : { ephemeral }),
      })
    },
  )
  app.post(
    '/api/realtime/test',
    { schema: { tags, summary: 'Send a test event', body: TestEvent, response } },
    (request) => {
      const { type, message, data } = request.body
      const said = message === undefined ? data : { message, ...(data === undefined ? {} : { data }) }
      return hub.publish(testAudience(request.body), type, said ?? null, {
        source: principalOf(request).userId,
      })
    },
  )
}

function managedSend(body: unknown): ManagedSend {
  const isSend = typeof body === 'object' && body !== null && ('event' in body || 'data' in body)
  return isSend && Value.Check(ManagedSend, body) ? body : { data: body }
}

/** `userId`, `sessionId` and `clientIds` narrow each other; the lists add to them; nothing at all is everyone. */
function audienceOf(body: Publish): Audience {
  const { userId, sessionId, clientIds, userIds, groups, roles, where } = body
  const only = {
    ...(userId === undefined ? {} : { user: userId }),
    ...(sessionId === undefined ? {} : { session: sessionId }),
    ...(clientIds === undefined ? {} : { connections: clientIds }),
  }
  const named = {
    ...(Object.keys(only).length === 0 ? {} : { only }),
    ...(userIds === undefined ? {} : { users: userIds }),
    ...(groups === undefined ? {} : { groups }),
    ...(roles === undefined ? {} : { roles }),
  }
  const audience: Audience = Object.keys(named).length === 0 ? { all: true } : named
  return where === undefined ? audience : { ...audience, where }
}

function testAudience({ target, targetValue }: TestEvent): Audience {
  if (target === 'broadcast') return { all: true }
  if (targetValue === undefined) {
    const message = `must name the ${target}`
    throw new ProblemError('invalid_request', `"targetValue" ${message}.`, {
      errors: [{ path: 'body/targetValue', message }],
    })
  }
  if (target === 'user') return { users: [targetValue] }
  return target === 'group' ? { groups: [targetValue] } : { roles: [targetValue] }
}
