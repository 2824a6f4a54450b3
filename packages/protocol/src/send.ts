import Type, { type Static } from 'typebox'
import { Where } from './audience.ts'
import { ConflateKey, EventType, Metadata, Priority } from './event.ts'
import { Name } from './name.ts'

/** The most names in one list of an audience. */
export const MAX_AUDIENCE_NAMES = 10_000
const Names = Type.Array(Name, { minItems: 1, maxItems: MAX_AUDIENCE_NAMES })

const sendOptions = {
  priority: Type.Optional(Priority),
  metadata: Type.Optional(Metadata),
  conflate: Type.Optional(ConflateKey),
  ephemeral: Type.Optional(
    Type.Boolean({ description: 'Neither stored nor resumed, and without an id. Default false.' }),
  ),
}

/**
 * The body of a managed send: `{event, data, …}`, or any other JSON, which is then itself the data of a
 * `message`.
 */
export const ManagedSend = Type.Object(
  { event: Type.Optional(EventType), data: Type.Optional(Type.Unknown()), ...sendOptions },
  { additionalProperties: false },
)
export type ManagedSend = Static<typeof ManagedSend>

export const FilteredSend = Type.Object(
  { where: Where, event: Type.Optional(EventType), data: Type.Optional(Type.Unknown()), ...sendOptions },
  { additionalProperties: false },
)
export type FilteredSend = Static<typeof FilteredSend>

/**
 * The body of `POST /api/sse`. `userId`, `sessionId` and `clientIds` narrow each other; the lists add to
 * them; `where` narrows all. Without any it is for everyone.
 */
export const Publish = Type.Object(
  {
    event: EventType,
    data: Type.Optional(Type.Unknown({ description: 'Default null.' })),
    userId: Type.Optional(Name),
    sessionId: Type.Optional(Name),
    clientIds: Type.Optional(Names),
    userIds: Type.Optional(Names),
    groups: Type.Optional(Names),
    roles: Type.Optional(Names),
    where: Type.Optional(Where),
    ...sendOptions,
  },
  { additionalProperties: false },
)
export type Publish = Static<typeof Publish>

/** The body of `POST /api/realtime/test`. */
export const TestEvent = Type.Object(
  {
    type: EventType,
    message: Type.Optional(Type.String()),
    data: Type.Optional(Type.Unknown()),
    target: Type.Enum(['user', 'group', 'role', 'broadcast']),
    targetValue: Type.Optional(Name),
  },
  { additionalProperties: false },
)
export type TestEvent = Static<typeof TestEvent>

/** The header that makes a request happen once, however often it is sent. */
export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      pattern: '^[ -~]+$',
      description:
        'Of your own choice, 1 to 256 printable ASCII characters. The same request with the same key does nothing ' +
        'again, and is answered as before, with `Idempotent-Replayed: true`.',
    }),
  ),
})
export type IdempotencyHeaders = Static<typeof IdempotencyHeaders>

export const SendAnswer = Type.Object({
  success: Type.Literal(true),
  id: Type.Union([Type.String(), Type.Null()], { description: 'Null for an ephemeral event.' }),
  delivered: Type.Integer({
    description:
      'Connections of the answering node whose outbox had taken it when this was answered. While a node looks what it missed of Redis it answers before that: then 0, and they take it a moment later.',
  }),
  degraded: Type.Optional(
    Type.Literal(true, {
      description:
        'The store is away: the event was delivered by this node alone, which keeps it to store it later; an ephemeral one is not kept. `id` is null.',
    }),
  ),
})
export type SendAnswer = Static<typeof SendAnswer>
