import { MirrorLog } from '@tributary/eventlog'
import { describe, expect, it } from 'vitest'
import { mirroredEntry } from './mirrored-entry.ts'

const ID = 'run_1.1000-7'
const HEAD = { id: ID, type: 'tick', timestamp: 1_000, priority: 'normal', source: 'worker-1', version: '1' }

function entryOf(envelope: unknown, id = ID) {
  const data = typeof envelope === 'string' ? envelope : JSON.stringify(envelope)
  return mirroredEntry({ id, type: 'tick', data })
}

describe('mirroredEntry', () => {
  it('has the place of the event and the data as the worker wrote it', () => {
    const written = '{"big":12345678901234567890, "nested":{"a":1,"data":2}}'
    const entry = entryOf(`${JSON.stringify(HEAD).slice(0, -1)},"data":${written}}`)
    expect(entry?.position).toEqual({ ms: 1_000, n: 7 })
    const { version: _, ...head } = HEAD
    expect(entry?.event).toMatchObject(head)
    expect(entry?.event.json).toBe(written)
  })

  it.each([
    ['metadata', { ...HEAD, metadata: { a: 1, data: 2 }, data: { b: 1 } }],
    ['a source with a quote', { ...HEAD, source: 'the "best"', data: { b: 1 } }],
    ['its keys in another order', { data: { b: 1 }, ...HEAD }],
    ['spaces', `{ "data": {"b":1}, ${JSON.stringify(HEAD).slice(1)}`],
  ])('reads one with %s', (_, envelope) => {
    const entry = entryOf(envelope)
    expect(entry?.event.json).toBe('{"b":1}')
    expect(entry?.event.metadata).toEqual(
      typeof envelope === 'object' && 'metadata' in envelope ? envelope.metadata : undefined,
    )
  })

  it.each([
    ['of one connection', { ...HEAD, data: 1 }, 'run_1.1000-0'],
    ['whose id is none', { ...HEAD, id: 'seven', data: 1 }, 'seven'],
    ['whose id is not that of its envelope', { ...HEAD, data: 1 }, 'run_1.1000-8'],
    ['without an id', { ...HEAD, id: null, data: 1 }, ID],
    ['without data', HEAD, ID],
    ['of a priority that is none', { ...HEAD, priority: 'urgent', data: 1 }, ID],
    ['of another version', { ...HEAD, version: '2', data: 1 }, ID],
    ['whose name breaks a frame', { ...HEAD, type: 'a\nb', data: 1 }, ID],
    ['that is no envelope', [1], ID],
  ])('is none of an event %s', (_, envelope, id) => {
    expect(entryOf(envelope, id)).toBeUndefined()
  })

  it('can be mirrored', async () => {
    const retention = { maxEvents: 10, maxAgeMs: Number.POSITIVE_INFINITY }
    const log = new MirrorLog({ runId: 'run_1', retention, now: () => 2_000 })
    const entry = entryOf({ ...HEAD, data: null })
    if (entry === undefined) throw new Error('it was not taken')
    log.add(entry, false)
    expect((await log.read(0)).entries).toEqual([entry])
  })
})
