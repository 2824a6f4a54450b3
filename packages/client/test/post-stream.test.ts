import { ScriptedUpstream, steps } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { readAll } from './read-all.ts'

const tick = (n: number) => steps.frame({ id: `r1.${n}`, event: 'tick', data: n })
const post = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } } as const

/** The head of the answer to a POST that began a run. */
const began =
  (location: string): ReturnType<typeof steps.open> =>
  (response) =>
    response.writeHead(200, { 'content-type': 'text/event-stream', 'run-id': 'r1', location }).flushHeaders()

describe('readStream of what a POST begins', () => {
  it('goes on with the run that the answer names, by GET and with the same query', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream
      .script('/start', [began('/api/runs/r1'), tick(1), steps.destroy()])
      .script('/api/runs/r1/events', [tick(2), steps.end()], [steps.answer(204)])
    const { events } = await readAll(`${upstream.url}/start?token=t`, post)
    expect(events).toEqual(['1', '2'])
    expect(upstream.requests.map(({ method, path, body }) => [method, path, body])).toEqual([
      ['POST', '/start', '{}'],
      ['GET', '/api/runs/r1/events', ''],
      ['GET', '/api/runs/r1/events', ''],
    ])
    const [, resumed] = upstream.requests
    expect(resumed?.headers['last-event-id']).toBe('r1.1')
    expect(resumed?.query.get('token')).toBe('t')
  })

  it('is sent again where it was refused', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/start', [steps.answer(503)], [steps.answer(429)], [tick(1), steps.end()])
    expect((await readAll(`${upstream.url}/start`, post)).events).toEqual(['1'])
    expect(upstream.requests).toHaveLength(3)
  })

  it.each([
    ['a stream that broke', [tick(1), steps.destroy()], { code: 'connection' }],
    ['a failure of the server', [steps.answer(500)], { code: 'status', status: 500 }],
    ['a run elsewhere', [began('http://127.0.0.2/api/runs/r1'), steps.destroy()], { code: 'connection' }],
  ])('is not sent again after %s', async (_, script, error) => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/start', script)
    await expect(readAll(`${upstream.url}/start`, post)).rejects.toMatchObject(error)
    expect(upstream.requests).toHaveLength(1)
  })
})
