import { ScriptedUpstream, steps } from '@tributary/testkit'
import { expect, it } from 'vitest'
import { readStreamBatches, type StreamPart } from '../src/index.ts'

const tick = (n: number) => steps.frame({ id: String(n), event: 'tick', data: n })
const event = (n: number) => ({ event: { id: String(n), type: 'tick', data: String(n) } })

it('hands out what came in one chunk together, and nothing that comes behind the end', async () => {
  await using upstream = await ScriptedUpstream.start()
  const end = 'event: disconnected\ndata: {"reason":"complete","reconnect":false}\n\n'
  upstream.script(
    '/s',
    [steps.raw('id: 1\nevent: tick\ndata: 1\n\nid: 2\nevent: tick\ndata: 2\n\nid: 3\n\n'), steps.end()],
    [tick(4), steps.raw(`${end}event: tick\ndata: late\n\n`), steps.end()],
  )
  const batches: (readonly StreamPart[])[] = []
  const { signal } = new AbortController()
  for await (const batch of readStreamBatches({ url: `${upstream.url}/s`, fetch, signal, retryMs: 10 })) {
    batches.push(batch)
  }
  const [first, ...rest] = batches
  expect(first).toEqual([{ id: '1' }, event(1), { id: '2' }, event(2), { id: '3' }])
  expect(rest.flat()).toEqual([
    { id: '4' },
    event(4),
    { event: { type: 'disconnected', data: '{"reason":"complete","reconnect":false}' } },
  ])
  expect(upstream.requests[1]?.headers['last-event-id']).toBe('3')
})
