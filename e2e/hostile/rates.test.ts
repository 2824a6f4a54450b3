import { afterAll, beforeAll, describe, it } from 'vitest'
import type { HostileCase } from './hostile-case.ts'
import { HostileWorld } from './hostile-world.ts'

const MANAGED = '/api/sse/managed'
const PARALLEL_TASKS = '/api/sse-proxy/reactive/parallel-tasks/sse-emitter'

describe('rates', () => {
  let world: HostileWorld
  beforeAll(async () => {
    world = await HostileWorld.start({
      gateway: { RATE_LIMIT_REQUESTS: '20', RATE_LIMIT_CONNECTS: '5', RATE_LIMIT_RUNS: '3' },
    })
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it.each<[string, number, HostileCase]>([
    ['bad tokens', 20, { name: '', path: '/api/runs?token=bad', status: 401, code: 'token_invalid' }],
    ['requests of a user', 20, { name: '', as: 'user', path: '/api/runs', status: 200 }],
    ['streams of a user', 5, { name: '', as: 'user', path: '/api/sse', status: 200 }],
    [
      'what a user may not do',
      20,
      { name: '', as: 'other', path: `${MANAGED}/connections`, status: 403, code: 'forbidden' },
    ],
    [
      'runs that are not valid',
      3,
      { name: '', as: 'user', path: PARALLEL_TASKS, body: {}, status: 400, code: 'invalid_request' },
    ],
  ])('%s are refused after %i in a minute', async (_what, count, one) => {
    for (let n = 0; n < count; n += 1) await world.hold(one)
    await world.hold({ ...one, status: 429, code: 'rate_limited' })
  })
})
