import { AddressPolicy, OutboundClient } from '@tributary/outbound'
import { describe, expect, it } from 'vitest'
import { Worker } from './worker.ts'
import { able, inTurn } from './worker-choice.ts'

const client = new OutboundClient({ policy: new AddressPolicy() })

interface Told {
  readonly tasks?: number
  readonly handlers?: readonly string[]
  readonly draining?: boolean
}

function tellingWorker(name: string, { tasks = 0, handlers = [], draining = false }: Told = {}): Worker {
  const worker = new Worker({ url: `http://${name}`, client, now: () => 0 })
  const load = { activeTasks: tasks, waitingTasks: 0, runs: 0, loopDelayMs: 0 }
  worker.note({ load, handlers: [...handlers], simulates: false, draining })
  return worker
}

const names = (workers: readonly Worker[]) => workers.map(({ url }) => new URL(url).hostname)

describe('the order in which workers are asked', () => {
  it('is that of their load, as this gateway sees it where they tell nothing', () => {
    const workers = ['a', 'b'].map((name) => new Worker({ url: `http://${name}`, client, now: () => 0 }))
    const release = workers[0]?.hold()
    expect(names(inTurn(workers, () => 0))).toEqual(['b', 'a'])
    release?.()
    expect(names(inTurn(workers, () => 0))).toEqual(['a', 'b'])
  })

  it('begins with the less busy one of two that are drawn, where they tell of themselves', () => {
    const workers = [1, 2, 3, 4].map((tasks) => tellingWorker(`w${tasks}`, { tasks }))
    const drawing = (...drawn: number[]) => names(inTurn(workers, () => drawn.shift() ?? 0))
    expect(drawing(0.99, 0)).toEqual(['w1', 'w2', 'w3', 'w4'])
    expect(drawing(0.99, 0.99)).toEqual(['w3', 'w1', 'w2', 'w4'])
    expect(drawing(0.3, 0.99)).toEqual(['w2', 'w1', 'w3', 'w4'])
  })

  it('never draws the busiest of all', () => {
    const workers = [1, 2, 3].map((tasks) => tellingWorker(`w${tasks}`, { tasks }))
    for (let draw = 0; draw < 100; draw += 1) {
      const drawn = [draw / 100, ((draw * 37) % 100) / 100]
      expect(names(inTurn(workers, () => drawn.shift() ?? 0))[0]).not.toBe('w3')
    }
  })

  it('ends with those that were away a moment ago, and leaves out those that are about to stop', () => {
    const away = tellingWorker('away')
    away.avoid()
    const workers = [away, tellingWorker('stops', { draining: true }), tellingWorker('busy', { tasks: 9 })]
    expect(names(inTurn(workers, () => 0))).toEqual(['busy', 'away'])
  })

  it('has those that are about to stop where there is no other', () => {
    expect(names(inTurn([tellingWorker('stops', { draining: true })], () => 0))).toEqual(['stops'])
  })
})

describe('a request that names registered tasks', () => {
  const workers = [
    tellingWorker('a', { handlers: ['A', 'AB'] }),
    tellingWorker('b', { handlers: ['AB', 'B'] }),
  ]

  it('goes to a worker that has them all', () => {
    expect(names(able(workers, ['B', 'AB']))).toEqual(['b'])
    expect(names(able(workers, ['AB']))).toEqual(['a', 'b'])
    expect(names(able(workers))).toEqual(['a', 'b'])
  })

  it('is refused where no worker has all of them', () => {
    expect(() => able(workers, ['A', 'B'])).toThrow(
      expect.objectContaining({
        code: 'unknown_handler',
        message:
          'No worker has all of the handlers "A", "B"; give one worker all of them, or send the tasks apart.',
      }),
    )
  })

  it('goes to any where nobody has one of them, for a worker says which task that is', () => {
    expect(names(able(workers, ['A', 'C']))).toEqual(['a', 'b'])
  })
})
