import {
  type Audience,
  FilteredSend,
  IdempotencyHeaders,
  ManagedSend,
  Name,
  ProblemError,
  Publish,
  SendAnswer,
  TestEvent,
} from '@tributary/protocol'
import { type App, principalOf, requireAudience } from '@tributary/service'
import type { FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
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

const managedSendCheck = Compile(ManagedSend)

const common = {
  tags: ['publishing'],
  headers: IdempotencyHeaders,
  response: { 200: SendAnswer, 202: SendAnswer },
}

/** Who sends, and by which key. */
type Sender = Pick<FastifyRequest, 'principal'> & { readonly headers: IdempotencyHeaders }

/** The routes that send events. */
export function addPublishing(app: App, { hub }: Deps): void {
  const send = async (
    request: Sender,
    reply: FastifyReply,
    audience: Audience,
    { event = 'message', data, ...options }: ManagedSend,
  ): Promise<SendAnswer> => {
    const principal = principalOf(request)
    requireAudience(principal, audience)
    const { userId } = principal
    const key = request.headers['idempotency-key']
    const { replayed, ...answer } = await hub.publish(audience, event, data, {
      ...options,
      source: userId,
      ...(key === undefined ? {} : { once: { key, scope: userId } }),
    })
    if (replayed) reply.header('idempotent-replayed', 'true')
    // Delivered, and kept to be stored.
    if (answer.degraded) reply.code(202)
    return answer
  }

  app.post(
    '/api/sse/managed/send/user/:userId',
    { schema: { ...common, summary: 'Send to a user', params: UserParams, body: ManagedBody } },
    (request, reply) => send(request, reply, { users: [request.params.userId] }, managedSend(request.body)),
  )
  app.post(
    '/api/sse/managed/broadcast/group/:groupId',
    { schema: { ...common, summary: 'Send to a group', params: GroupParams, body: ManagedBody } },
    (request, reply) => send(request, reply, { groups: [request.params.groupId] }, managedSend(request.body)),
  )
  app.post(
    '/api/sse/managed/broadcast',
    { schema: { ...common, summary: 'Send to all', body: ManagedBody } },
    (request, reply) => send(request, reply, { all: true }, managedSend(request.body)),
  )
  app.post(
    '/api/sse/managed/send/filtered',
    { schema: { ...common, summary: 'Send to whose metadata holds `where`', body: FilteredSend } },
    (request, reply) => {
      const { where, ...said } = request.body
      return send(request, reply, { all: true, where }, said)
    },
  )
  app.post(
    '/api/sse',
    { schema: { ...common, summary: 'Send to any audience', body: Publish } },
    (request, reply) => {
      const { event, data, priority, metadata, conflate, ephemeral } = request.body
      return send(request, reply, audienceOf(request.body), {
        event,
        data,
        ...(priority === undefined ? {} : { priority }),
        ...(metadata === undefined ? {} : { metadata }),
        ...(conflate === undefined ? {} : { conflate }),
        ...(ephemeral === undefined ? {} : { ephemeral }),
      })
    },
  )
  app.post(
    '/api/realtime/test',
    { schema: { ...common, summary: 'Send a test event', body: TestEvent } },
    (request, reply) => {
      const { type, message, data } = request.body
      const said = message === undefined ? data : { message, ...(data === undefined ? {} : { data }) }
      return send(request, reply, testAudience(request.body), { event: type, data: said ?? null })
    },
  )
}

function managedSend(body: unknown): ManagedSend {
  const isSend = typeof body === 'object' && body !== null && ('event' in body || 'data' in body)
  return isSend && managedSendCheck.Check(body) ? body : { data: body }
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
