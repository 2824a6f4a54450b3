import { describe, expect, it } from 'vitest'
import type { Hold, QuotaLimits, UserQuota } from '../src/user-quota.ts'

/** A hold of something that weighs what the test says. */
export function holdOf(userId: string, id: string, weight = 0) {
  const hold = { userId, id, weighs: weight, weight: () => hold.weighs }
  return hold satisfies Hold
}

/** What every adapter does, seen from one node. @param open makes one that nobody has used, closed at the end of its test. */
export function userQuotaContract(open: (limits: QuotaLimits) => Promise<UserQuota>): void {
  const idsOf = (quota: UserQuota) => [...quota.held()].map(({ id }) => id).toSorted()

  describe('a quota of users', () => {
    it('lets each hold so many, and another for each that is let go, once', async () => {
      const quota = await open({ maxHolds: 2, maxWeight: 0 })
      const answers = [await quota.take(holdOf('ann', 'a')), await quota.take(holdOf('ann', 'b'))]
      expect([...answers, await quota.take(holdOf('ann', 'c'))]).toEqual(['taken', 'taken', 'too_many'])
      expect(await quota.take(holdOf('bob', 'a'))).toBe('taken')
      quota.release('ann', 'a')
      quota.release('ann', 'a')
      quota.release('ann', 'nothing')
      expect(await quota.take(holdOf('ann', 'c'))).toBe('taken')
      expect(await quota.take(holdOf('ann', 'd'))).toBe('too_many')
      expect(idsOf(quota)).toEqual(['a', 'b', 'c'])
    })

    it('lets in no more of many that come at once', async () => {
      const quota = await open({ maxHolds: 3, maxWeight: 0 })
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, n) => quota.take(holdOf('ann', `run-${n}`))),
      )
      expect(answers.filter((answer) => answer === 'taken')).toHaveLength(3)
    })

    it('counts what all that a user holds weighs, as it stands now', async () => {
      const quota = await open({ maxHolds: 0, maxWeight: 10 })
      const first = holdOf('ann', 'a', 8)
      expect(await quota.take(first)).toBe('taken')
      expect(await quota.take(holdOf('ann', 'b', 3))).toBe('too_heavy')
      expect(await quota.take(holdOf('ann', 'b', 2))).toBe('taken')
      first.weighs = 1
      expect(await quota.take(holdOf('ann', 'c', 8))).toBe('too_heavy')
      expect(await quota.take(holdOf('ann', 'c', 7))).toBe('taken')
      first.weighs = -5
      expect(await quota.take(holdOf('ann', 'd', 1))).toBe('taken')
    })

    it('tells of what is held for something that has ended, and lets it go', async () => {
      const quota = await open({ maxHolds: 2, maxWeight: 0 })
      let isOver = false
      expect(await quota.take({ ...holdOf('ann', 'a'), isOver: () => isOver })).toBe('taken')
      expect(await quota.take(holdOf('ann', 'b'))).toBe('taken')
      expect(await quota.faults()).toEqual([])
      isOver = true
      const [fault, ...others] = await quota.faults()
      expect([fault, others]).toMatchObject([{ kind: 'leaked_hold', id: 'ann a' }, []])
      await fault?.correct()
      await fault?.correct()
      expect([await quota.faults(), idsOf(quota)]).toEqual([[], ['b']])
      expect(await quota.take(holdOf('ann', 'c'))).toBe('taken')
    })

    it('holds what is there whatever the limits, and counts it from then on', async () => {
      const quota = await open({ maxHolds: 1, maxWeight: 5 })
      quota.hold(holdOf('ann', 'a', 20))
      quota.hold(holdOf('ann', 'b', 20))
      expect(await quota.take(holdOf('ann', 'c'))).toBe('too_many')
      quota.release('ann', 'a')
      quota.release('ann', 'b')
      expect(await quota.take(holdOf('ann', 'c', 5))).toBe('taken')
    })

    it('takes one that is held already once more, without counting it twice', async () => {
      const quota = await open({ maxHolds: 1, maxWeight: 5 })
      expect(await quota.take(holdOf('ann', 'a', 5))).toBe('taken')
      expect(await quota.take(holdOf('ann', 'a', 4))).toBe('taken')
      expect(idsOf(quota)).toEqual(['a'])
    })

    it('limits nothing where the limits are 0, and takes users of any name', async () => {
      const quota = await open({ maxHolds: 0, maxWeight: 0 })
      for (const user of ['ann', '', '}', '{x}', '🦊', 'a\nb', '__proto__', 'x'.repeat(128)]) {
        for (const id of ['1', '2']) expect(await quota.take(holdOf(user, id, 1e9))).toBe('taken')
      }
      expect([[...quota.held()].length, quota.health]).toEqual([16, { status: 'ok' }])
      expect(await quota.faults()).toEqual([])
    })
  })
}
