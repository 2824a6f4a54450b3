import { describe, expect, it } from 'vitest'
import { DEFAULT_FORM, entryFrame, eventFrame, type Frame, type FrameForm } from '../src/index.ts'
import { append, dataOf, fixture, webReader } from './stream-fixture.ts'

const text = ({ bytes }: Frame) => new TextDecoder().decode(bytes)

describe('a frame', () => {
  it('is the payload alone, or the whole event', async () => {
    await using t = await fixture()
    const [entry] = await t.log.append([
      { event: { type: 'task_error', data: { a: 1 }, source: 's', metadata: { correlationId: 'c' } } },
    ])
    if (entry === undefined) throw new Error('nothing was appended')
    const { id, timestamp } = entry.event
    expect(text(entryFrame(entry, DEFAULT_FORM))).toBe(`id: ${id}\nevent: task_error\ndata: {"a":1}\n\n`)
    const envelope = text(entryFrame(entry, { format: 'envelope', naming: 'emitter' }))
    expect(envelope.startsWith(`id: ${id}\nevent: error\ndata: {`)).toBe(true)
    expect(JSON.parse(envelope.slice(envelope.indexOf('{')))).toEqual({
      id,
      type: 'error',
      data: { a: 1 },
      timestamp,
      priority: 'normal',
      source: 's',
      version: '1',
      metadata: { correlationId: 'c' },
    })
  })

  it('of an ephemeral event has no id, so that no reader takes it for its cursor', () => {
    const event = { id: null, type: 't', timestamp: 1, priority: 'low', source: 's', version: '1' } as const
    expect(text(eventFrame(event, '5', DEFAULT_FORM))).toBe('event: t\ndata: 5\n\n')
    expect(text(eventFrame(event, '5', { format: 'envelope', naming: 'standard' }))).toContain('"id":null')
  })

  it('is encoded once per form, whatever the number of readers, and its data once at all', async () => {
    await using t = await fixture()
    let encoded = 0
    const forms: FrameForm[] = [
      { format: 'payload', naming: 'standard' },
      { format: 'payload', naming: 'emitter' },
      { format: 'envelope', naming: 'standard' },
      { format: 'envelope', naming: 'emitter' },
    ]
    const readers = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const reader = webReader()
        const form = forms[i % forms.length] ?? DEFAULT_FORM
        const stream = await t.streams.serve(t.options({ sink: () => reader.sink, form }))
        stream.start()
        await reader.take(1)
        return reader
      }),
    )
    const [entry] = await append(t.log, [{ toJSON: () => ++encoded }])
    for (const reader of readers) expect(dataOf(await reader.take(1))).toHaveLength(1)
    expect(encoded).toBe(1)
    if (entry === undefined) throw new Error('nothing was appended')
    expect(new Set(entry.frames).size).toBe(4)
    for (const form of forms) expect(entryFrame(entry, form)).toBe(entryFrame(entry, { ...form }))
  })
})
