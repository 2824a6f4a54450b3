import { describe, expect, it } from 'vitest'
import { numbers, whole } from './fast-path/expected-events.ts'
import { eventsOf, readAnswers } from './fast-path/http-answer.ts'
import { liveStreamOf, type RawClient, request } from './fast-path/raw-client.ts'
import { PATIENT, ServedStreams } from './fast-path/served-streams.ts'
import { NODES } from './fast-path/stream-process.ts'

/** Of each event, where the kernel's own room is to be filled. */
const SIZE = 5_000
/** More of them than the kernel and an outbox hold. */
const MANY = 3_000

const eventsSoFar = ({ bytes }: RawClient) => eventsOf(readAnswers(bytes)[0]?.body ?? Buffer.alloc(0))

describe.each(NODES)('to readers at their own pace, a stream under Node $line', ({ binary }) => {
  const served = ServedStreams.ofSuite(binary)

  /** A reader that pauses until the whole script has been played. */
  async function pausedOver(t: ServedStreams, script: string): Promise<RawClient> {
    const client = await t.open()
    client.socket.pause()
    client.send(request(liveStreamOf(script, SIZE)))
    await expect.poll(async () => (await t.server.stats()).played - t.before.played, PATIENT).toBe(1)
    return client
  }

  // An outbox holds fifty of these, and the kernel hundreds; but a Unix socket's no more than another forty.
  it.each([
    ['', {}, '1.1', 300],
    [' over HTTP/1.0', {}, '1.0', 80],
    [' over TLS', { tls: true }, '1.1', 300],
    [' over a Unix socket', { overUnixSocket: true }, '1.1', 40],
  ] as const)(
    'holds nobody for slow who reads, however much a turn brings%s',
    async (_, options, version, count) => {
      await using t = await ServedStreams.start({ binary, ...options })
      for (const script of [`b${count},e`, `t3,b${count},e`, `t3,b${count},t20,s3,b${count - 3},e`]) {
        const [answer] = await t.answers([request(liveStreamOf(script, SIZE), { version })])
        const events = script.includes('s') ? 2 * count : count
        expect(answer && eventsOf(answer.body)).toEqual(whole(events))
      }
    },
  )

  it('brings who did not read the newest event of a key, and all that the kernel had already', async () => {
    await using t = await served()
    await using client = await pausedOver(t, `t3,k${MANY},s1`)
    expect((await t.server.stats()).dropped).toBeGreaterThan(t.before.dropped)
    client.socket.resume()
    // Its number comes before the rest of it.
    await client.until(() => eventsSoFar(client).at(-1) === MANY)
    const [connection, ...got] = eventsSoFar(client)
    expect(connection).toBe('connection')
    expect(got.slice(-2)).toEqual([MANY - 1, MANY])
    expect(got.slice(0, -2)).toEqual(numbers(got.length - 2))
    expect(got.length).toBeLessThan(MANY)
    expect(await t.server.stats()).toMatchObject({ open: 1, taken: 1 })
  })

  it('drops what is of low priority for who does not read, and tells him as soon as he does', async () => {
    await using t = await served()
    await using client = await pausedOver(t, `t3,l${MANY}`)
    const dropped = (await t.server.stats()).dropped - t.before.dropped
    expect(dropped).toBeGreaterThan(0)
    client.socket.resume()
    await client.until(({ text }) => text.includes('event: gap'))
    await client.until(({ text }) => text.endsWith('\n\n\r\n'))
    expect(eventsSoFar(client)).toEqual(['connection', ...numbers(MANY - dropped), 'gap'])
  })

  it('ends for who does not read what is of neither kind, after what it could still give him', async () => {
    await using t = await served()
    await using client = await pausedOver(t, `t3,s${MANY}`)
    expect(await t.server.stats()).toMatchObject({ open: 0 })
    client.socket.resume()
    const [answer] = await client.answers()
    expect(answer?.complete).toBe(true)
    const events = answer === undefined ? [] : eventsOf(answer.body)
    expect(events).toEqual(['connection', ...numbers(events.length - 2), 'disconnected'])
    expect(answer?.body.toString()).toMatch(/"reason":"slow_consumer","reconnect":true\}\n\n$/)
  })
})
