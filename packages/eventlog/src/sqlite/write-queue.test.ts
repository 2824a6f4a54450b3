import { DatabaseSync } from 'node:sqlite'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../log-error.ts'
import { MIGRATIONS } from './schema.ts'
import { Statements } from './statements.ts'
import { WriteQueue } from './write-queue.ts'

function opened() {
  const db = new DatabaseSync(':memory:')
  for (const migration of MIGRATIONS) db.exec(migration)
  const sql = new Statements(db)
  const failed: unknown[] = []
  const committed: number[] = []
  const stored: number[] = []
  const writes = new WriteQueue({
    sql,
    isInTransaction: () => db.isTransaction,
    failure: (error) => (error instanceof Error ? error : new Error(String(error))),
    onFailed: (error) => failed.push(error),
    onCommitted: (bytes) => committed.push(bytes),
    onStored: (tookMs) => stored.push(tookMs),
  })
  const log: string[] = []
  const add = (name: string, work: () => Error | undefined = () => undefined, bytes = 1) =>
    writes.add({
      rows: 1,
      bytes,
      write: () => {
        sql.of('insertLog').get(name, null, 1)
        return work()
      },
      settle: () => void log.push(`${name} stored`),
      fail: (error) => void log.push(`${name} failed: ${error.message}`),
      rollBack: () => void log.push(`${name} back`),
    })
  const names = () =>
    sql
      .of('listLogs')
      .all('', '', '~', 10)
      .map(({ name }) => name)
  return { db, writes, add, log, failed, committed, stored, names }
}

describe('WriteQueue', () => {
  it('tells how long the first of a transaction waited, once for each that was stored', async () => {
    const t = opened()
    const resume = t.writes.pause()
    const beforeMs = performance.now()
    t.add('a')
    t.add('b')
    await turn()
    const waitedMs = performance.now() - beforeMs
    resume()
    await turn()
    await turn()
    t.add('a')
    await turn()
    await turn()
    expect(t.log.map((line) => line.split(':')[0])).toEqual(['a stored', 'b stored', 'a back', 'a failed'])
    expect(t.stored).toEqual([expect.toSatisfy((ms: number) => ms >= waitedMs)])
  })

  it('writes all of a turn in one transaction, in order', async () => {
    const t = opened()
    t.add('a', undefined, 5)
    t.add('b', undefined, 6)
    expect(t.log).toEqual([])
    await turn()
    await turn()
    expect([t.log, t.committed, t.failed]).toEqual([['a stored', 'b stored'], [11], []])
  })

  it('leaves nothing of a transaction that fails, and goes on with the next', async () => {
    const t = opened()
    t.add('a')
    t.add('b', () => {
      throw new Error('of the disk')
    })
    t.writes.flush()
    expect(t.log).toEqual(['a back', 'b back', 'a failed: of the disk', 'b failed: of the disk'])
    expect([t.names(), t.committed, t.failed.length, t.db.isTransaction]).toEqual([[], [], 1, false])
    t.add('c')
    t.writes.flush()
    expect([t.names(), t.log.at(-1)]).toEqual([['c'], 'c stored'])
  })

  it('lets what was asked for later not pass what the disk refuses', async () => {
    const t = opened()
    const full = () => {
      throw new StoreUnavailableError('the disk is full')
    }
    t.add('a', full, 4_000_000)
    t.add('b', undefined, 4_000_000)
    await turn()
    await turn()
    expect(t.log).toEqual([
      expect.stringMatching(/^a back/),
      expect.stringMatching(/^a failed/),
      expect.stringMatching(/^b failed/),
    ])
    t.add('c')
    t.writes.flush()
    expect(t.names()).toEqual(['c'])
  })

  it('writes nothing while it is paused', async () => {
    const t = opened()
    const resume = t.writes.pause()
    t.add('a')
    await turn()
    await turn()
    expect([t.log, t.writes.isPaused]).toEqual([[], true])
    resume()
    await t.writes.ready()
    await turn()
    await turn()
    expect(t.log).toEqual(['a stored'])
  })

  it('refuses what waits and what comes once it is stopped', async () => {
    const t = opened()
    t.writes.pause()
    t.add('a')
    t.writes.stop(new StoreUnavailableError('the disk is lost'))
    t.add('b')
    await t.writes.ready()
    const refused = 'failed: Nothing can be stored now: the disk is lost'
    expect(t.log).toEqual([`a ${refused}`, `b ${refused}`])
    expect([t.writes.failed, t.failed.length, t.names()]).toEqual([true, 1, []])
    expect(t.writes.transaction(() => 1)?.message).toContain('the disk is lost')
  })

  it('takes so much at once, and refuses what would make too much wait', () => {
    const t = opened()
    t.writes.pause()
    for (let i = 0; i < 20; i++) t.add(`${i}`, undefined, 4_000_000)
    expect(t.log).toHaveLength(4)
    expect(t.log[0]).toContain('more comes than the disk takes')
    t.writes.flush()
    expect(t.committed).toEqual([4_000_000])
    t.writes.close()
    expect(t.committed).toHaveLength(16)
    t.add('late')
    expect(t.log.at(-1)).toContain('the store is closed')
  })

  it('takes alone what is larger than all else together', () => {
    const t = opened()
    t.add('large', undefined, 1_000_000_000)
    t.writes.flush()
    expect(t.log).toEqual(['large stored'])
  })
})
