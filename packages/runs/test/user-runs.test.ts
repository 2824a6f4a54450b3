import { MemoryEventStore } from '@tributary/eventlog/memory'
import { LocalUserQuota } from '@tributary/quota'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { anyRun, heldWork, openRuns, succeeded, until, untilStopped } from './runs-under-test.ts'

const limited = { code: 'user_run_limit', statusCode: 429, retryAfterS: 5 }

describe('RunRegistry, with a limit of runs for each user', () => {
  it('refuses one more until one has ended, however it ended, and nobody else', async () => {
    await using setting = await openRuns({ quota: new LocalUserQuota({ maxHolds: 2 }) })
    const { runs } = setting
    for (let round = 0; round < 5; round++) {
      const held = heldWork()
      const first = await runs.start(anyRun(), held.work)
      const second = await runs.start(anyRun(), untilStopped)
      await expect(runs.start(anyRun(), untilStopped)).rejects.toMatchObject(limited)
      const others = await runs.start({ ...anyRun(), userId: 'bob' }, untilStopped)
      if (round % 2 === 0) held.end(succeeded())
      else held.fail(new Error('It broke'))
      for (const run of [second, others]) await runs.cancel(run)
      await until(() => runs.runningCount === 0)
      expect(first.endedAt).toBeDefined()
    }
  })

  it('tells of a place that was not let go when its run ended, and of none before', async () => {
    class Forgetful extends LocalUserQuota {
      isForgetful = true

      override release(userId: string, id: string): void {
        if (!this.isForgetful) super.release(userId, id)
      }
    }
    const quota = new Forgetful({ maxHolds: 1 })
    await using setting = await openRuns({ quota })
    const run = await setting.runs.start(anyRun(), untilStopped)
    expect(await quota.faults()).toEqual([])
    await setting.runs.cancel(run)
    await until(() => setting.runs.runningCount === 0)
    quota.isForgetful = false
    const [fault, ...others] = await quota.faults()
    expect([fault, others]).toMatchObject([{ kind: 'leaked_hold', id: `ann ${run.id}` }, []])
    await fault?.correct()
    await setting.runs.start(anyRun(), untilStopped)
    expect(await quota.faults()).toEqual([])
  })

  it('counts what is only about to be accepted, and lets go of what is not', async () => {
    await using setting = await openRuns({ quota: new LocalUserQuota({ maxHolds: 2 }) })
    const { runs } = setting
    const preparing = Promise.withResolvers<void>()
    const starts = Array.from({ length: 5 }, () =>
      runs.start({ ...anyRun(), prepare: () => preparing.promise }, untilStopped),
    )
    const settled = Promise.allSettled(starts)
    preparing.reject(new Error('It cannot be begun'))
    const reasons = (await settled).map((each) => (each.status === 'rejected' ? each.reason.message : ''))
    expect(reasons.filter((text) => text === 'It cannot be begun')).toHaveLength(2)
    expect(reasons.filter((text) => text.includes('MAX_RUNS_PER_USER'))).toHaveLength(3)
    await runs.start(anyRun(), untilStopped)
    await runs.start(anyRun(), untilStopped)
  })

  it('answers the run of an Idempotency-Key also where there is no room for another', async () => {
    await using setting = await openRuns({ quota: new LocalUserQuota({ maxHolds: 1 }) })
    const once = { key: 'k', fingerprint: 'f', windowMs: 60_000 }
    const { run } = await setting.runs.startOnce(once, anyRun(), untilStopped)
    const again = await setting.runs.startOnce(once, anyRun(), untilStopped)
    expect([again.run.id, again.replayed]).toEqual([run.id, true])
    const other = { ...once, key: 'other' }
    await expect(setting.runs.startOnce(other, anyRun(), untilStopped)).rejects.toMatchObject(limited)
    await setting.runs.cancel(run)
    await until(() => setting.runs.runningCount === 0)
    expect((await setting.runs.startOnce(other, anyRun(), untilStopped)).replayed).toBe(false)
  })

  it('counts after a restart what is still to be gone on with', async () => {
    const clock = new FakeClock()
    const store = new MemoryEventStore({ clock })
    await using crashed = await openRuns({ clock, store })
    const { id } = await crashed.runs.start(anyRun(), untilStopped)
    await using again = await openRuns({ clock, store, quota: new LocalUserQuota({ maxHolds: 1 }) })
    await expect(again.runs.start(anyRun(), untilStopped)).rejects.toMatchObject(limited)
    await again.runs.recover(() => async () => succeeded())
    await (await again.runs.find(id)).ended
    await until(() => again.runs.runningCount === 0)
    await again.runs.start(anyRun(), untilStopped)
  })
})

describe('RunRegistry, with a limit of open tasks for each user', () => {
  it('counts those that have not ended', async () => {
    await using setting = await openRuns({ quota: new LocalUserQuota({ maxWeight: 10 }) })
    const { runs } = setting
    const first = await runs.start(anyRun(7), untilStopped)
    const code = 'user_task_limit'
    await expect(runs.start(anyRun(4), untilStopped)).rejects.toMatchObject({ code, statusCode: 429 })
    first.count({ successCount: 1, errorCount: 1 })
    await runs.start(anyRun(5), untilStopped)
    await expect(runs.start(anyRun(1), untilStopped)).rejects.toMatchObject({ code })
    await runs.start({ ...anyRun(10), userId: 'bob' }, untilStopped)
    const tooMany = runs.start({ ...anyRun(11), userId: 'carol' }, untilStopped)
    await expect(tooMany).rejects.toMatchObject({ code: 'too_many_tasks', statusCode: 422 })
  })
})
