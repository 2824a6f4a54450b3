import { describe, expect, it } from 'vitest'
import { MIXED, MIXED_EVENTS, numbers, streamEvents, whole } from './fast-path/expected-events.ts'
import { eventsOf, readAnswers } from './fast-path/http-answer.ts'
import { request, streamOf } from './fast-path/raw-client.ts'
import { PATIENT, ServedStreams } from './fast-path/served-streams.ts'
import { NODES } from './fast-path/stream-process.ts'

describe.each(NODES)('with other requests on its connection, a stream under Node $line', ({ binary }) => {
  const served = ServedStreams.ofSuite(binary)

  it('follows ordinary answers of the same connection, and is its last', async () => {
    await using t = await served()
    await using client = await t.open()
    for (let n = 1; n <= 3; n++) {
      client.send(request('/plain'))
      await client.until(({ text }) => text.split('{"plain":true}').length > n)
    }
    client.send(request(streamOf(MIXED)))
    const answers = await client.answers()
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(answers.slice(0, 3).map(({ headers }) => headers.connection)).toEqual(Array(3).fill('keep-alive'))
    expect(answers.at(-1) && eventsOf(answers.at(-1)?.body ?? Buffer.alloc(0))).toEqual(whole(MIXED_EVENTS))
  })

  it.each([
    ['a stream', streamOf(MIXED)],
    ['an ordinary one', '/plain'],
  ])(
    'is whole where %s is asked for behind it in the same packet, which is not answered',
    async (_, second) => {
      await using t = await served()
      const answers = await t.answers([request(streamOf(MIXED)), request(second)])
      expect(answers.map(streamEvents)).toEqual([{ status: 200, events: whole(MIXED_EVENTS) }])
    },
  )

  it('is whole where another request comes before its head does, or at any time later', async () => {
    await using t = await served()
    for (const turns of [0, 1, 2, 3, 5, 10]) {
      await using client = await t.open()
      client.send(request(streamOf(`t${turns},s10,b5,e`)))
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
      client.send(request('/plain'))
      expect((await client.answers()).map(streamEvents)).toEqual([{ status: 200, events: whole(15) }])
    }
  })

  it('sends nothing before the end of the answer ahead of it', async () => {
    await using t = await served()
    await using client = await t.open()
    // More than the kernel takes: it is still being sent when the stream is there.
    client.socket.pause()
    client.send(request('/big'), request(streamOf(MIXED)))
    await expect.poll(async () => (await t.server.stats()).streams - t.before.streams, PATIENT).toBe(1)
    client.socket.resume()
    const [big, stream, ...others] = await client.answers()
    expect(big).toMatchObject({ status: 200, complete: true })
    expect(big?.body.equals(Buffer.alloc(20_000_000, '.'))).toBe(true)
    expect(stream && eventsOf(stream.body)).toEqual(whole(MIXED_EVENTS))
    expect(others).toEqual([])
  })

  it('ends with the connection where the answer ahead of it is never read', async () => {
    await using t = await served()
    const client = await t.open()
    client.socket.pause()
    client.send(request('/big'), request(streamOf('s5')))
    await expect.poll(async () => (await t.server.stats()).open, PATIENT).toBe(1)
    client.socket.resetAndDestroy()
  })

  it('takes another way where a request stands behind its own, and lives as long as its client', async () => {
    await using t = await served()
    await using client = await t.open()
    client.send(request(streamOf('t5,s3,b5,s2')), request(streamOf('s3')))
    await client.until(({ text }) => text.includes('"n":9'))
    expect(await t.server.stats()).toMatchObject({ open: 2, taken: 0 })
    expect(eventsOf(readAnswers(client.bytes)[0]?.body ?? Buffer.alloc(0))).toEqual([
      'connection',
      ...numbers(10),
    ])
  })
})
