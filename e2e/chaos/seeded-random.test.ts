import { expect, it } from 'vitest'
import { ALL_FAULTS } from './fault.ts'
import { planned } from './planned-fault.ts'
import { planRun } from './run-plan.ts'
import { SeededRandom } from './seeded-random.ts'

const plans = (seed: number) => {
  const random = new SeededRandom(seed).fork(7)
  const faults = planned(random, ALL_FAULTS, 3_000, (name) => ({
    name,
    lastsMs: 0,
    act: async () => undefined,
  }))
  return [faults.map(({ name, atMs }) => ({ name, atMs })), planRun('key', random, 'http://api')]
}

it('plans the same for the same seed, and something else for another', () => {
  expect(plans(1)).toEqual(plans(1))
  expect(plans(1)).not.toEqual(plans(2))
})

it('forks a sequence that does not depend on what was drawn from another', () => {
  const one = new SeededRandom(5)
  const [first, second] = [one.fork(1), one.fork(2)]
  first.next()
  expect(second.next()).toBe(new SeededRandom(5).fork(2).next())
  expect(first.next()).not.toBe(second.next())
})
