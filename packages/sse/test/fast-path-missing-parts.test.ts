import { describe, expect, it } from 'vitest'
import { MIXED, MIXED_EVENTS, whole } from './fast-path/expected-events.ts'
import { eventsOf } from './fast-path/http-answer.ts'
import { request, streamOf } from './fast-path/raw-client.ts'
import { ServedStreams } from './fast-path/served-streams.ts'
import { NODES } from './fast-path/stream-process.ts'

describe.each(NODES)('where parts of Node $line are missing, a stream', ({ line, binary }) => {
  const remove = (code: string) => [`--import=data:text/javascript,${encodeURIComponent(code)}`]
  it.each([
    ['process.binding', remove('delete process.binding')],
    ['the state of the last write', remove("delete process.binding('stream_wrap').streamBaseState")],
    ['a permission', ['--permission', '--allow-fs-read=*', ...(line >= 25 ? ['--allow-net'] : [])]],
    [
      'the write of a handle',
      remove("delete Object.getPrototypeOf(process.binding('tcp_wrap').TCP.prototype).writeBuffer"),
    ],
    [
      'a way to let go of the parser',
      remove("import { HTTPParser } from '_http_common'; delete HTTPParser.prototype.close"),
    ],
  ])('says the same over the ordinary way (%s)', async (_, flags) => {
    await using t = await ServedStreams.start({ binary, flags })
    const [answer] = await t.answers([request(streamOf(MIXED))])
    expect(answer).toMatchObject({ status: 200, chunked: true, complete: true })
    expect(answer && eventsOf(answer.body)).toEqual(whole(MIXED_EVENTS))
    await using client = await t.open()
    client.send(request(streamOf('s2')))
    await client.until(({ text }) => text.includes('"n":1'))
    expect(await t.server.stats()).toMatchObject({ open: 1, taken: 0 })
  })
})
