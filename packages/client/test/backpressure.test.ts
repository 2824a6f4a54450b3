import { once } from 'node:events'
import { ScriptedUpstream, steps } from '@tributary/testkit'
import { expect, it } from 'vitest'
import { readStream } from '../src/read-stream.ts'

const DATA = 'x'.repeat(65_000)
/** Much more than the sockets of both sides and whatever `fetch` holds take together. */
const FRAMES = 2_000
/** A server that sent nothing more while it answered so many other requests is waiting. */
const QUIET_TURNS = 20

it('slows the server down as far as its reader is slow, and loses nothing', async () => {
  await using upstream = await ScriptedUpstream.start()
  let sent = 0
  upstream.script('/ping', [steps.answer(200)]).route('/s', async (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (; sent < FRAMES; sent += 1) {
      if (!response.write(`data: ${DATA}\n\n`)) await once(response, 'drain')
    }
    response.end()
  })
  const { signal } = new AbortController()
  const events = readStream({ url: `${upstream.url}/s`, fetch, signal, isOver: () => true })
  await events.next()
  for (let last = -1, quiet = 0; quiet < QUIET_TURNS; quiet = sent === last ? quiet + 1 : 0) {
    last = sent
    const answer = await fetch(`${upstream.url}/ping`)
    await answer.text()
  }
  expect(sent).toBeLessThan(FRAMES / 2)
  let received = 1
  for await (const { data } of events) {
    if (data !== DATA) expect.unreachable()
    received += 1
  }
  expect(received).toBe(FRAMES)
})
