import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { ProblemError } from '@tributary/protocol'
import type { App } from '@tributary/service'
import Type from 'typebox'

const USERS = [
  'Ada',
  'Grace',
  'Edsger',
  'Barbara',
  'Donald',
  'Radia',
  'Leslie',
  'Frances',
  'Tony',
  'Margaret',
].map((name, index) => ({ id: index + 1, name, email: `${name.toLowerCase()}@example.com` }))
const ORDERS = Array.from({ length: 20 }, (_, index) => ({
  id: index + 1,
  userId: (index % USERS.length) + 1,
  item: ['keyboard', 'lamp', 'notebook', 'chair'][index % 4] ?? 'chair',
  quantity: (index % 3) + 1,
}))

const User = Type.Object({ id: Type.Integer(), name: Type.String(), email: Type.String() })
const Order = Type.Object({
  id: Type.Integer(),
  userId: Type.Integer(),
  item: Type.String(),
  quantity: Type.Integer(),
})

/** Bytes at a time of the large answer. */
const LARGE_PIECES = 20

/** A small API to call, so that the demonstrations really call something. In development only. */
export function addSampleApi(app: App): void {
  const tags = ['sample']
  const config = { auth: 'none' } as const
  let flakyCalls = 0

  app.get(
    '/api/sample/users',
    { config, schema: { tags, summary: 'All users', response: { 200: Type.Array(User) } } },
    async () => USERS,
  )
  app.get(
    '/api/sample/users/:id',
    {
      config,
      schema: {
        tags,
        summary: 'One user',
        params: Type.Object({ id: Type.Integer() }),
        response: { 200: User },
      },
    },
    async ({ params }) => {
      const user = USERS.find(({ id }) => id === params.id)
      if (user === undefined) throw new ProblemError('not_found', `There are users 1 to ${USERS.length}.`)
      return user
    },
  )
  app.get(
    '/api/sample/orders',
    { config, schema: { tags, summary: 'All orders', response: { 200: Type.Array(Order) } } },
    async () => ORDERS,
  )
  app.post(
    '/api/sample/orders',
    {
      config,
      schema: {
        tags,
        summary: 'Answers with the order it was sent',
        body: Type.Unknown(),
        response: { 201: Type.Object({ id: Type.Integer(), order: Type.Unknown() }) },
      },
    },
    async ({ body }, reply) => reply.code(201).send({ id: ORDERS.length + 1, order: body }),
  )
  app.get(
    '/api/sample/slow',
    {
      config,
      schema: {
        tags,
        summary: 'Answers after a time',
        querystring: Type.Object({ ms: Type.Integer({ minimum: 0, maximum: 60_000, default: 1_500 }) }),
        response: { 200: Type.Object({ waitedMs: Type.Integer() }) },
      },
    },
    async ({ query }) => {
      await delay(query.ms)
      return { waitedMs: query.ms }
    },
  )
  app.get(
    '/api/sample/flaky',
    {
      config,
      schema: {
        tags,
        summary: 'Fails every other time',
        response: { 200: Type.Object({ calls: Type.Integer() }), 503: Type.Object({ error: Type.String() }) },
      },
    },
    async (_, reply) => {
      flakyCalls += 1
      if (flakyCalls % 2 === 1) return reply.code(503).header('retry-after', '0').send({ error: 'Try again' })
      return { calls: flakyCalls }
    },
  )
  app.get(
    '/api/sample/large',
    {
      config,
      schema: {
        tags,
        summary: 'A large text that comes in pieces',
        produces: ['text/plain'],
        querystring: Type.Object({
          bytes: Type.Integer({ minimum: 1, maximum: 20_971_520, default: 400_000 }),
          ms: Type.Integer({
            minimum: 0,
            maximum: 60_000,
            default: 2_000,
            description: 'How long it takes.',
          }),
        }),
      },
    },
    async ({ query }, reply) => {
      reply.header('content-type', 'text/plain; charset=utf-8').header('content-length', query.bytes)
      return reply.send(Readable.from(largeText(query.bytes, query.ms)))
    },
  )
}

async function* largeText(bytes: number, ms: number): AsyncGenerator<string> {
  const piece = Math.ceil(bytes / LARGE_PIECES)
  for (let left = bytes; left > 0; left -= piece) {
    yield 'tributary '.repeat(Math.ceil(piece / 10)).slice(0, Math.min(piece, left))
    await delay(ms / LARGE_PIECES)
  }
}
