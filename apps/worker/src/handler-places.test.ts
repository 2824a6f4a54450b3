import { expect, it } from 'vitest'
import { HandlerPlaces } from './handler-places.ts'

const load = { activeTasks: 0, waitingTasks: 0, runs: 0, loopDelayMs: 0 }

function places(...infos: Readonly<Record<string, unknown>>[]) {
  const nodes = infos.map((info, index) => ({
    nodeId: String(index),
    service: 'worker' as const,
    startedAt: 0,
    seenAt: 0,
    info: { load, simulates: false, draining: false, ...info },
  }))
  return new HandlerPlaces({ nodes: async () => nodes })
}

it('lets any worker run what all of them have', async () => {
  const both = places({ handlers: ['A', 'B'] }, { handlers: ['A'] })
  expect(await both.areEverywhere(['A'])).toBe(true)
  expect(await both.areEverywhere(['A', 'B'])).toBe(false)
  expect(await both.areEverywhere([])).toBe(true)
})

it('knows whether there is one that has all', async () => {
  const both = places({ handlers: ['A', 'B'] }, { handlers: ['A'] })
  expect(await both.areSomewhere(['B', 'A'])).toBe(true)
  expect(await both.areSomewhere(['A', 'C'])).toBe(false)
})

it('takes a worker that simulates for one that has everything, and one that tells nothing for one that has not', async () => {
  expect(await places({ simulates: true }, { handlers: ['A'] }).areEverywhere(['A'])).toBe(true)
  expect(await places({ handlers: ['A'] }, {}).areEverywhere(['A'])).toBe(false)
  expect(await places({ handlers: ['A'] }, { load: 'high' }).areEverywhere(['A'])).toBe(false)
})

it('lets nobody else run it where it cannot be known', async () => {
  const away = new HandlerPlaces({
    nodes: async () => {
      throw new Error('Redis is away')
    },
  })
  expect(await away.areEverywhere(['A'])).toBe(false)
})
