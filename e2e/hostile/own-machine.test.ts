import { expect, it } from 'vitest'
import { PARALLEL_TASKS, postJson } from '../services.ts'
import { HostileWorld } from './hostile-world.ts'
import { bearer } from './own-tokens.ts'
import { tokenOf } from './tokens.ts'

/** In development, where a request of this machine that shows no token is an admin's. */
const ENV = { NODE_ENV: 'development' }

/** What a task would ask in the name of the machine that it is run on, and what makes it look as if nobody did. */
const ASKED: readonly (readonly [path: string, method: string, headers: Record<string, string>])[] = [
  ['/api/auth/revocations', 'POST', {}],
  ['/api/auth/revocations', 'GET', {}],
  ['/api/runs', 'GET', {}],
  ['/api/runs?userId=healthy', 'GET', {}],
  ['/api/runs', 'GET', { via: '' }],
  ['/api/runs', 'GET', { Via: '1.1 nobody', VIA: '' }],
  ['/api/runs', 'GET', { origin: 'http://127.0.0.1' }],
  ['/api/runs', 'GET', { 'x-forwarded-for': '127.0.0.1' }],
  ['/api/runs', 'GET', { te: 'trailers', 'proxy-connection': 'via' }],
]

it('a task asks nothing of our own services in the name of this machine', async () => {
  await using world = await HostileWorld.start({
    gateway: ENV,
    worker: { ...ENV, OUTBOUND_ALLOW: '127.0.0.1' },
  })
  const { gateway, worker } = world
  const tasks = [gateway, worker].flatMap(({ url }, index) =>
    ASKED.map(([path, method, headers], row) => ({
      id: `${index}.${row}`,
      name: `${method} ${path} ${JSON.stringify(headers)}`,
      url: url + path,
      method,
      headers,
      ...(method === 'POST' ? { body: { userId: 'healthy' } } : {}),
      retries: 0,
    })),
  )
  const answer = await world.healthy.during(() =>
    postJson(gateway.url + PARALLEL_TASKS, { tasks }, bearer(tokenOf('user'))),
  )
  const [complete = ''] = /(?<=event: complete\ndata: ).*/.exec(await answer.text()) ?? []
  const { errors } = JSON.parse(complete)
  const refused = tasks.map(({ id }) => ({ taskId: id, error: 'HTTP 401', code: 'http_4xx' }))
  expect(errors).toEqual(expect.arrayContaining(refused))
  expect(errors).toHaveLength(tasks.length)
})
