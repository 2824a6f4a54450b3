import { ScriptedUpstream, steps } from '@tributary/testkit'
import { EventSource as PackageEventSource } from 'eventsource'
import { describe, expect, it } from 'vitest'
import { EventSource } from '../src/event-source.ts'

const TYPES = ['open', 'message', 'progress', 'error']

/** What a page's code sees of an EventSource until it is closed. */
async function transcript(source: EventTarget & { readonly readyState: number }): Promise<unknown[]> {
  const seen: unknown[] = []
  const closed = Promise.withResolvers<void>()
  for (const type of TYPES) {
    source.addEventListener(type, (event) => {
      if (event instanceof MessageEvent) {
        const { data, lastEventId, origin } = event
        seen.push([type, data, lastEventId, origin])
      } else seen.push([type, source.readyState])
      if (source.readyState === 2) closed.resolve()
    })
  }
  await closed.promise
  return seen
}

describe.each([
  ['ours', EventSource],
  ['the eventsource package', PackageEventSource],
])('an EventSource, %s', (_, Source) => {
  it('shows the same of a stream that breaks, resumes and ends', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script(
      '/s',
      [
        steps.raw('\uFEFFretry: 1\n\n'),
        steps.raw('data: first\n\n'),
        steps.raw(': comment\r\nevent: progress\r\nid: 1\r\ndata: {"step":\r\ndata: 1}\r\n\r\n'),
        steps.raw('id: 2\n\n'),
        steps.raw('data\n\ndata:\n\n'),
        steps.raw('event: progress\ndata: n\u00e4ch'),
        steps.raw('ste\nunknown: field\nid: bad\0id\n\n'),
        steps.raw('data: unfinished'),
        steps.end(),
      ],
      [steps.raw('id: 3\ndata: again\n\nid\ndata: without\n\n'), steps.destroy()],
      [steps.raw('event: error\nid: 4\ndata: said so\n\n'), steps.end()],
      [steps.answer(204)],
    )
    const seen = await transcript(new Source(`${upstream.url}/s`))
    const at = (...event: unknown[]) => [...event, upstream.url]
    expect(seen).toEqual([
      ['open', 1],
      at('message', 'first', ''),
      at('progress', '{"step":\n1}', '1'),
      at('message', '', '2'),
      at('message', '', '2'),
      at('progress', 'n\u00e4chste', '2'),
      ['error', 0],
      ['open', 1],
      at('message', 'again', '3'),
      at('message', 'without', ''),
      ['error', 0],
      ['open', 1],
      at('error', 'said so', '4'),
      ['error', 0],
      ['error', 2],
    ])
    expect(upstream.requests.map(({ headers }) => headers['last-event-id'])).toEqual([
      undefined,
      '2',
      undefined,
      '4',
    ])
    expect(upstream.requests[0]?.headers.accept).toBe('text/event-stream')
  })

  it.each([
    ['404', steps.answer(404)],
    ['an answer that is no stream', steps.html()],
    ['204', steps.answer(204)],
  ])('gives up on %s', async (_case, answer) => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [answer])
    expect(await transcript(new Source(`${upstream.url}/s`))).toEqual([['error', 2]])
    expect(upstream.requests).toHaveLength(1)
  })

  it('refuses a URL that is none', () => {
    expect(() => new Source('http://')).toThrow(DOMException)
  })

  it('has the constants and the attributes of the standard', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [steps.open()])
    const source = new Source(new URL(`${upstream.url}/a/../s`), { withCredentials: true })
    expect([Source.CONNECTING, Source.OPEN, Source.CLOSED]).toEqual([0, 1, 2])
    expect([source.CONNECTING, source.OPEN, source.CLOSED]).toEqual([0, 1, 2])
    expect(source).toMatchObject({
      url: `${upstream.url}/s`,
      readyState: 0,
      withCredentials: true,
      onopen: null,
      onmessage: null,
      onerror: null,
    })
    const opened = new Promise((resolve) => {
      source.onopen = resolve
    })
    await opened
    expect(source.readyState).toBe(1)
    source.close()
    expect(source.readyState).toBe(2)
    await upstream.requests[0]?.closed
  })

  it('hears nothing after it is closed, also of what came with the last event', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [steps.raw('data: 1\n\ndata: 2\n\n')])
    const source = new Source(`${upstream.url}/s`)
    const calls: unknown[] = []
    for (const type of TYPES) source.addEventListener(type, (event) => calls.push(event.type))
    source.onmessage = () => source.close()
    await (await upstream.waitForRequest('/s')).closed
    expect(calls).toEqual(['open', 'message'])
  })
})
