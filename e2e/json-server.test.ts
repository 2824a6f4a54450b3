import { once } from 'node:events'
import type { Server } from 'node:http'
import { createRequire } from 'node:module'
import { allDataOf, EventCollector, lastingPort } from '@tributary/testkit'
import { expect, it } from 'vitest'
import { logged, PARALLEL_TASKS, startGateway, startWorker } from './services.ts'

type Middleware = (request: { url: string }, response: unknown, next: () => void) => void

/** The part of json-server 0.17 that is used here; it comes without types. */
interface JsonServer {
  create(): { use(handler: unknown): void; listen(port: number, host: string): Server }
  defaults(options: { logger: boolean }): unknown
  router(data: Readonly<Record<string, readonly object[]>>): unknown
}

const require = createRequire(import.meta.url)
const jsonServer: JsonServer = require('json-server')

const users = Array.from({ length: 10 }, (_, index) => ({ id: index + 1, name: `User ${index + 1}` }))
const posts = Array.from({ length: 100 }, (_, index) => ({
  id: index + 1,
  userId: (index % users.length) + 1,
  title: `Post ${index + 1}`,
}))

/** The placeholder API that people try things with; what has `late` in its query waits until it is let go. */
async function startPlaceholderApi() {
  const late = Promise.withResolvers<void>()
  const app = jsonServer.create()
  const wait: Middleware = (request, _, next) => {
    if (request.url.includes('late')) late.promise.then(next)
    else next()
  }
  app.use(wait)
  app.use(jsonServer.defaults({ logger: false }))
  app.use(jsonServer.router({ users, posts }))
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    answerLate: late.resolve,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }
}

it('streams tasks against a placeholder API: some late, one missing, one refused', async () => {
  await using api = await startPlaceholderApi()
  await using worker = await startWorker()
  await using gateway = await startGateway({ workers: [worker] })
  const closed = `http://127.0.0.1:${await lastingPort()}`
  const task = (id: string, url: string, more: object = {}) => ({ id, name: `Fetch ${id}`, url, ...more })
  await using reader = await EventCollector.open(gateway.url + PARALLEL_TASKS, {
    body: {
      tasks: [
        task('late-users', `${api.url}/users?late=1`),
        task('late-post', `${api.url}/posts/7?late=2`),
        task('users', `${api.url}/users`),
        task('user', `${api.url}/users/1`),
        task('posts', `${api.url}/posts?userId=3&_limit=2`),
        task('created', `${api.url}/posts`, { method: 'POST', body: { userId: 1, title: 'New' } }),
        task('missing', `${api.url}/users/999`),
        task('refused', `${closed}/users`, { retries: 0 }),
      ],
    },
  })
  await reader.waitForCount('task_complete', 4)
  await reader.waitForCount('error', 2)
  expect(allDataOf(reader, 'task_start')).toHaveLength(8)
  expect(reader.ofType('complete')).toEqual([])
  api.answerLate()
  await reader.ended

  const failures = [
    { taskId: 'missing', error: 'HTTP 404', code: 'http_4xx' },
    { taskId: 'refused', error: 'Connection refused', code: 'connection_refused' },
  ]
  const [aggregated] = allDataOf(reader, 'aggregated_result')
  expect(aggregated).toMatchObject({ successCount: 6, errorCount: 2 })
  expect(aggregated?.errors.toSorted((a, b) => a.taskId.localeCompare(b.taskId))).toEqual(failures)
  expect(aggregated?.results).toMatchObject({
    'late-users': { body: users },
    'late-post': { body: posts[6] },
    users: { status: 200, body: users },
    user: { body: users[0] },
    posts: { body: [posts[2], posts[12]] },
    created: { status: 201, body: { id: 101, title: 'New' } },
  })
  expect(allDataOf(reader, 'complete')).toMatchObject([
    { status: 'partial', totalTasks: 8, successCount: 6, errorCount: 2 },
  ])
  // The late ones were last, and everything came in the order of its time.
  const finished = allDataOf(reader, 'task_complete').map(({ taskId }) => taskId)
  expect(finished.slice(-2).toSorted()).toEqual(['late-post', 'late-users'])
  const places = logged(reader).map(({ id }) => id?.split('.').at(-1)?.split('-').map(Number) ?? [])
  expect(places).toEqual(
    places.toSorted(([ms = 0, n = 0], [otherMs = 0, other = 0]) => ms - otherMs || n - other),
  )
  expect(places.map(([, n]) => n)).toEqual(places.map((_, index) => index + 1))
})
