import { expect, it } from 'vitest'
import { NumberedReader } from './numbered-reader.ts'
import { postJson, startGateway } from './services.ts'

/** 12 MB: more than an outbox and all that the kernel holds for one socket. */
const EVENTS = 120
const TEXT = 'x'.repeat(100_000)
const CONNECT = '/api/sse/managed/connect'

it.each(['/api/sse/managed/broadcast', '/api/sse'])(
  'gives who did not read the newest event of a key, sent by %s, and keeps the stream',
  async (path) => {
    await using gateway = await startGateway()
    const reader = await NumberedReader.open(gateway.url + CONNECT)
    using opened = new DisposableStack()
    opened.defer(() => reader.close())
    reader.pause()
    for (let n = 1; n <= EVENTS; n++) {
      const said = { event: 'large', data: { n, text: TEXT }, conflate: 'ACME' }
      const answer = await postJson(gateway.url + path, said)
      expect(await answer.json()).toMatchObject({ success: true, delivered: 1 })
    }
    expect(gateway.deps.hub.local.count()).toBe(1)
    reader.resume()
    await reader.until(EVENTS)
    // What the kernel had already cannot be taken back.
    const before = reader.numbers.length - 1
    expect(reader.numbers).toEqual([...Array.from({ length: before }, (_, n) => n + 1), EVENTS])
    expect(before).toBeLessThan(EVENTS / 2)
    expect(reader.told).toEqual([expect.stringMatching(/^connection /)])
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
    expect(metrics).toContain(`tributary_events_dropped_total{reason="conflated"} ${EVENTS - 1 - before}`)
  },
)
