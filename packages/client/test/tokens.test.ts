import { ScriptedUpstream, steps } from '@tributary/testkit'
import { expect, it } from 'vitest'
import { EventSource, readStream } from '../src/index.ts'
import { until } from './settled.ts'

const tick = (n: number) => steps.frame({ id: String(n), event: 'tick', data: n })
const connection = (data = {}) =>
  steps.frame({ event: 'connection', data: { emitterId: 'c 1', clientId: 'c 1', resumed: false, ...data } })
const expiring = steps.frame({ event: 'auth_expiring', data: { expiresAt: 1 } })
const REFRESH = '/below/api/sse/managed/connections/c%201/token'

/** Numbers them: `t1`, `t2`. */
function supplier() {
  let given = 0
  return async () => `t${++given}`
}

const authorizations = ({ requests }: ScriptedUpstream) =>
  requests.map(({ method, path, headers, body }) => [method, path, headers.authorization, body])

it('asks for a token before each attempt, and gives the next one to the open stream', async () => {
  await using upstream = await ScriptedUpstream.start()
  const path = '/below/api/sse/managed/connect'
  const gone = steps.frame({ event: 'disconnected', data: { reason: 'token_expired', reconnect: true } })
  upstream.script(path, [connection(), expiring, tick(1), gone, steps.end()], [connection(), tick(2)])
  upstream.script(REFRESH, [steps.answer(200, { 'content-type': 'application/json' }, '{}')])
  const stop = new AbortController()
  const url = `${upstream.url}${path}`
  const options = { url, fetch, signal: stop.signal, token: supplier(), headers: { 'x-a': '1' }, retryMs: 10 }
  const seen: string[] = []
  for await (const { type, data } of readStream(options)) {
    if (type === 'tick') seen.push(data)
    if (data === '1') await until(() => upstream.requests.length === 2)
    if (data === '2') break
  }
  expect(seen).toEqual(['1', '2'])
  expect(authorizations(upstream)).toEqual([
    ['GET', path, 'Bearer t1', ''],
    ['POST', REFRESH, 'Bearer t2', '{"token":"t2"}'],
    ['GET', path, 'Bearer t3', ''],
  ])
  expect(upstream.requests[2]?.headers).toMatchObject({ 'x-a': '1', 'last-event-id': '1' })
})

it('reads on where the next token cannot be had or is refused, and refreshes no stream of a run', async () => {
  await using upstream = await ScriptedUpstream.start()
  const path = '/api/sse/managed/connect'
  upstream.script(path, [connection(), expiring, tick(1)])
  upstream.script('/api/runs/r/events', [connection({ runId: 'r' }), expiring, tick(1)])
  let asked = 0
  const token = () => {
    asked += 1
    if (asked === 2) throw new Error('signed out')
    return 't'
  }
  for (const each of [path, '/api/runs/r/events']) {
    const stop = new AbortController()
    for await (const { type } of readStream({
      url: upstream.url + each,
      fetch,
      signal: stop.signal,
      token,
    })) {
      if (type === 'tick') break
    }
  }
  expect(upstream.requests).toHaveLength(2)
  expect(asked).toBe(3)
})

it('is an option of an EventSource, too', async () => {
  await using upstream = await ScriptedUpstream.start()
  upstream.script('/api/sse/managed/connect', [connection(), tick(1)])
  const source = new EventSource(`${upstream.url}/api/sse/managed/connect`, { token: () => 'mine' })
  await new Promise((resolve) => source.addEventListener('tick', resolve))
  source.close()
  expect(upstream.requests[0]?.headers.authorization).toBe('Bearer mine')
})
