import type { OnceKey } from '@tributary/eventlog'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it, vi } from 'vitest'
import { onceKey } from '../src/once-key.ts'
import { anyRun, openRuns, succeeded, until, untilStopped } from './runs-under-test.ts'
import { DISKS } from './stores-under-test.ts'

const keyOf = (request: unknown = { a: 1 }, options: { userId?: string; windowMs?: number } = {}): OnceKey =>
  onceKey('k', { userId: 'ann', windowMs: 60_000, ...options, request })

describe('RunRegistry.startOnce', () => {
  it('starts one run, however often and however fast it is asked', async () => {
    await using setting = await openRuns()
    const work = vi.fn(untilStopped)
    const asked = await Promise.all(
      Array.from({ length: 5 }, () => setting.runs.startOnce(keyOf(), anyRun(), work)),
    )
    const later = await setting.runs.startOnce(keyOf(), anyRun(), work)
    expect(new Set([...asked, later].map(({ run }) => run.id)).size).toBe(1)
    expect([...asked, later].map(({ replayed }) => replayed)).toEqual([false, true, true, true, true, true])
    expect(work).toHaveBeenCalledOnce()
    expect(setting.runs.size).toBe(1)
  })

  it('refuses the key for something else, and takes that of another user', async () => {
    await using setting = await openRuns()
    await setting.runs.startOnce(keyOf(), anyRun(), untilStopped)
    await expect(setting.runs.startOnce(keyOf({ a: 2 }), anyRun(), untilStopped)).rejects.toMatchObject({
      code: 'idempotency_conflict',
      statusCode: 422,
    })
    const other = await setting.runs.startOnce(keyOf({ a: 2 }, { userId: 'bob' }), anyRun(), untilStopped)
    expect(other.replayed).toBe(false)
  })

  it('is about what is asked for, whatever the order of its keys', () => {
    expect(keyOf({ a: 1, b: [{ c: 2, d: 3 }] })).toEqual(keyOf({ b: [{ d: 3, c: 2 }], a: 1 }))
    expect(keyOf({ a: [1, 2] }).fingerprint).not.toBe(keyOf({ a: [2, 1] }).fingerprint)
    expect(onceKey('xn', { userId: 'an', request: 1, windowMs: 1 }).key).not.toBe(
      onceKey('n', { userId: 'anx', request: 1, windowMs: 1 }).key,
    )
  })

  it('starts another once its window is over', async () => {
    await using setting = await openRuns()
    const first = await setting.runs.startOnce(keyOf(), anyRun(), untilStopped)
    setting.clock.advance(60_000)
    const second = await setting.runs.startOnce(keyOf({ a: 2 }), anyRun(), untilStopped)
    expect(second.replayed).toBe(false)
    expect(second.run.id).not.toBe(first.run.id)
    expect((await setting.runs.startOnce(keyOf({ a: 2 }), anyRun(), untilStopped)).run.id).toBe(second.run.id)
  })

  it('leaves the key free where the run could not be started', async () => {
    await using setting = await openRuns()
    const prepare = () => Promise.reject(new Error('not now'))
    const asked = await Promise.allSettled([
      setting.runs.startOnce(keyOf(), { ...anyRun(), prepare }, untilStopped),
      setting.runs.startOnce(keyOf(), { ...anyRun(), prepare }, untilStopped),
    ])
    expect(asked.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(setting.runs.size).toBe(0)
    const { replayed } = await setting.runs.startOnce(keyOf(), anyRun(), untilStopped)
    expect(replayed).toBe(false)
  })

  it.each(Object.entries(DISKS))('is remembered over a restart, in %s', async (_, openDisk) => {
    const clock = new FakeClock()
    await using disk = await openDisk(clock)
    const store = await disk.open()
    const { runs } = await openRuns({ clock, store, maxCount: 1 })
    const ids: string[] = []
    for (const n of [1, 2]) {
      const key = onceKey(`k${n}`, { userId: 'ann', request: n, windowMs: 60_000 })
      const { run } = await runs.startOnce(key, anyRun(), async () => succeeded())
      ids.push(run.id)
      await run.ended
      await until(() => runs.runningCount === 0)
    }
    const unfinished = await runs.startOnce(keyOf(), anyRun(), untilStopped)
    await runs.close()
    await store.close()
    await using again = await openRuns({ clock, store: await disk.open(), maxCount: 1 })
    const ask = (key: string, request: unknown) =>
      again.runs.startOnce(onceKey(key, { userId: 'ann', request, windowMs: 60_000 }), anyRun(), untilStopped)
    // It was there, and is kept no longer: started again it is not.
    await expect(ask('k1', 1)).rejects.toMatchObject({ code: 'run_gone' })
    expect(await ask('k2', 2)).toMatchObject({ replayed: true, run: { id: ids[1], status: 'succeeded' } })
    await expect(ask('k2', 3)).rejects.toMatchObject({ code: 'idempotency_conflict' })
    expect(await ask('k', { a: 1 })).toMatchObject({ replayed: true, run: { id: unfinished.run.id } })
    await again.runs.close()
    await again.store.close()
  })
})
