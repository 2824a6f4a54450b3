import { describe, expect, it } from 'vitest'
import { MIXED, MIXED_EVENTS, streamEvents, whole } from './fast-path/expected-events.ts'
import { eventsOf } from './fast-path/http-answer.ts'
import { request, streamOf } from './fast-path/raw-client.ts'
import { PATIENT, ServedStreams } from './fast-path/served-streams.ts'
import { NODES } from './fast-path/stream-process.ts'

describe.each(NODES)('asked for in other ways, a stream under Node $line', ({ binary }) => {
  const served = ServedStreams.ofSuite(binary)

  it('speaks no chunks to HTTP/1.0, and ends with the connection', async () => {
    await using t = await served()
    const [answer] = await t.answers([request(streamOf(MIXED), { version: '1.0' })])
    expect(answer).toMatchObject({ status: 200, chunked: false })
    expect(answer && eventsOf(answer.body)).toEqual(whole(MIXED_EVENTS))
  })

  it('has headers only and starts nothing for a HEAD, whose connection may go on', async () => {
    await using t = await served()
    await using client = await t.open()
    client.send(request(streamOf(MIXED), { method: 'HEAD' }), request(streamOf('s1,e')))
    const [head, stream] = await client.answers(['HEAD'])
    expect(head).toMatchObject({ status: 200, complete: true })
    expect(head?.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    expect(stream && eventsOf(stream.body)).toEqual(whole(1))
    expect(await t.server.stats()).toMatchObject({ streams: t.before.streams + 1 })
  })

  it('answers a POST with a body, and one that waits to be told to go on', async () => {
    await using t = await served()
    const body = 'b'.repeat(100_000)
    const [answer] = await t.answers([request(streamOf(MIXED), { method: 'POST', body })])
    expect(answer && streamEvents(answer)).toEqual({ status: 200, events: whole(MIXED_EVENTS) })
    await using client = await t.open()
    const [head = ''] = request(streamOf(MIXED), {
      method: 'POST',
      body,
      headers: ['expect: 100-continue'],
    }).split(body)
    client.send(head)
    await client.until(({ text }) => text.includes('100 Continue'))
    client.send(body)
    expect((await client.answers()).map(streamEvents)).toEqual([{ status: 200, events: whole(MIXED_EVENTS) }])
  })

  it('heeds nothing that is sent behind its request, and sees the client leave all the same', async () => {
    await using t = await served()
    await using client = await t.open()
    client.send(request(streamOf('s3')))
    await client.until(({ text }) => text.includes('"n":2'))
    await expect.poll(async () => (await t.server.stats()).taken, PATIENT).toBe(1)
    await new Promise<void>((resolve) =>
      client.socket.write(Buffer.alloc(5_000_000, '\r\nnoise'), () => resolve()),
    )
    expect(await t.server.stats()).toMatchObject({ open: 1, taken: 1 })
    client.socket.end()
  })
})
