import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it, vi } from 'vitest'
import type { LogEntry } from '../src/index.ts'
import { dataOf, event, KEEP_ALL, readAll } from './log-fixture.ts'
import { holds, LATER, PREFIX, world } from './two-servers.ts'

const LIMIT_MS = 30_000
const RUN = { ...KEEP_ALL, runId: '1' }

type Node = Awaited<ReturnType<Awaited<ReturnType<typeof world>>['node']>>

const open = ({ store }: Node, attributes = {}) => store.open('run:1', { ...RUN, attributes })

describeWithRedisServers('a run of whose log the next server has nothing', () => {
  it('has again all that it had, at its places, and no reader is told of it', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(), await servers.node()]
    await servers.parts(0)
    const run = await open(a, { record: 'as it was accepted' })
    const seen = await open(b)
    const rewinds: string[] = []
    const heard: LogEntry[] = []
    for (const [name, log] of Object.entries({ a: run, b: seen })) {
      await log.follow().ready
      log.onRewind(() => rewinds.push(name))
    }
    seen.tail((entry) => heard.push(entry))
    await run.append([event(1), event(2)], { epoch: 1, attributes: { at: '2' } })
    await run.append([], { epoch: 1, attributes: { cancelled: 'yes' } })
    await run.append([event(3)], { epoch: 1 })
    await vi.waitFor(() => expect(dataOf(heard)).toEqual([1, 2, 3]), LATER)
    const ids = heard.map((entry) => entry.event.id)
    for (const { moves } of [b, a]) moves()
    await vi.waitFor(() => run.close(event('end'), { epoch: 1 }), LATER)
    await vi.waitFor(() => expect(dataOf(heard)).toEqual([1, 2, 3, 'end']), LATER)
    expect(rewinds).toEqual([])
    const late = await servers.node()
    late.moves()
    await vi.waitFor(
      async () => expect(await late.store.find('run:1')).toMatchObject({ closed: true }),
      LATER,
    )
    const found = await open(late)
    const entries = await readAll(found)
    expect(dataOf(entries)).toEqual([1, 2, 3, 'end'])
    expect(entries.slice(0, 3).map((entry) => entry.event.id)).toEqual(ids)
    const attributes = { record: 'as it was accepted', at: '2', cancelled: 'yes' }
    expect(Object.fromEntries(found.attributes)).toEqual(attributes)
    expect(await late.store.list({ prefix: 'run:' })).toHaveLength(1)
  })

  it('is there again with what it was accepted as, before anything is appended', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const a = await servers.node()
    await servers.parts(0)
    await open(a, { record: 'as it was accepted' })
    a.moves()
    const b = await servers.node()
    b.moves()
    await vi.waitFor(async () => {
      const found = await b.store.find('run:1')
      expect(found?.attributes.get('record')).toBe('as it was accepted')
    }, LATER)
  })

  it('has it again where its end was appended, and nobody appends to it or follows it', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const a = await servers.node()
    await servers.parts(0)
    const run = await open(a)
    await run.append([event(1)], { epoch: 1 })
    await run.close(event('end'), { epoch: 1 })
    a.moves()
    await holds(servers.after, 2, 'run:1')
    expect(await servers.after.run('HGET', `${PREFIX}:{run:1}:meta`, 'c')).toBe('1')
  })

  it('has it again also where somebody has opened it there meanwhile', { timeout: LIMIT_MS }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(), await servers.node()]
    await servers.parts(0)
    const run = await open(a, { record: 'as it was accepted' })
    await run.append([event(1)], { epoch: 1 })
    b.moves()
    const seen = await vi.waitFor(() => open(b), LATER)
    await seen.append([], { attributes: { reader: 'b' } })
    a.moves()
    await vi.waitFor(() => run.append([event(2)], { epoch: 1 }), LATER)
    await seen.follow().ready
    await vi.waitFor(async () => expect(dataOf(await readAll(seen))).toEqual([1, 2]), LATER)
    expect(seen.attributes.get('record')).toBe('as it was accepted')
  })

  it('is waited for by who only reads it, until its owner is back', { timeout: LIMIT_MS }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(), await servers.node()]
    await servers.parts(0)
    const run = await open(a)
    await run.append([event(1)], { epoch: 1 })
    const seen = await open(b)
    await seen.follow().ready
    const heard: LogEntry[] = []
    seen.tail((entry) => heard.push(entry))
    b.moves()
    await vi.waitFor(() => expect(b.store.health).toEqual({ status: 'ok' }), LATER)
    // Refused or waited for, but not taken for dropped.
    await vi.waitFor(
      () => expect(seen.follow().ready).rejects.toMatchObject({ code: 'store_unavailable' }),
      LATER,
    )
    a.moves()
    await vi.waitFor(() => run.append([event(2)], { epoch: 1 }), LATER)
    await vi.waitFor(() => expect(dataOf(heard)).toEqual([2]), LATER)
  })

  it('stays gone where it was dropped', { timeout: LIMIT_MS }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(), await servers.node()]
    const run = await open(a)
    await run.append([event(1)], { epoch: 1 })
    await b.store.drop('run:1')
    await expect(run.append([event(2)], { epoch: 1 })).rejects.toMatchObject({ code: 'log_closed' })
    expect(await b.store.find('run:1')).toBeUndefined()
  })
})
