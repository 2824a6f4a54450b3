import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type TaskLane, TaskScheduler, type TaskSchedulerOptions } from './task-scheduler.ts'

/** What was started, in order; each goes on until it is told to end. */
class Attempts {
  readonly started: string[] = []
  readonly #ends = new Map<string, PromiseWithResolvers<void>>()

  add(lane: TaskLane, origin: string, name: string): void {
    lane.schedule(origin, () => {
      const end = Promise.withResolvers<void>()
      this.started.push(name)
      this.#ends.set(name, end)
      return end.promise
    })
  }

  get running(): string[] {
    return [...this.#ends.keys()]
  }

  async end(name: string): Promise<void> {
    this.#take(name).resolve()
    await settled()
  }

  async fail(name: string): Promise<void> {
    this.#take(name).reject(new Error(`${name} failed`))
    await settled()
  }

  #take(name: string): PromiseWithResolvers<void> {
    const end = this.#ends.get(name)
    if (end === undefined) throw new Error(`${name} does not run`)
    this.#ends.delete(name)
    return end
  }
}

/** All promises that can settle by themselves have, once the event loop has turned. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('TaskScheduler', () => {
  it('lets a slow origin hold no slot of another', async () => {
    const scheduler = new TaskScheduler({ perOrigin: 2, total: 10 })
    const lane = scheduler.openLane(4, 'ann')
    const attempts = new Attempts()
    for (const name of ['slow-1', 'slow-2', 'slow-3', 'slow-4']) attempts.add(lane, 'slow', name)
    for (const name of ['fast-1', 'fast-2', 'fast-3']) attempts.add(lane, 'fast', name)
    expect(attempts.running).toEqual(['slow-1', 'slow-2', 'fast-1', 'fast-2'])
    await attempts.end('fast-1')
    expect(attempts.running).toEqual(['slow-1', 'slow-2', 'fast-2', 'fast-3'])
    await attempts.end('fast-2')
    await attempts.end('fast-3')
    expect(attempts.running).toEqual(['slow-1', 'slow-2'])
  })

  it('holds no slot between two attempts', async () => {
    const scheduler = new TaskScheduler({ perOrigin: 1, total: 1 })
    const lane = scheduler.openLane(1, 'ann')
    const attempts = new Attempts()
    attempts.add(lane, 'a', 'first attempt')
    attempts.add(lane, 'a', 'another task')
    await attempts.end('first attempt')
    expect(attempts.running).toEqual(['another task'])
    attempts.add(lane, 'a', 'second attempt')
    expect(attempts.running).toEqual(['another task'])
    await attempts.end('another task')
    expect(attempts.running).toEqual(['second attempt'])
  })

  it('lets runs take turns, however many tasks each has', async () => {
    const scheduler = new TaskScheduler({ perOrigin: 10, total: 1 })
    const [many, few] = [scheduler.openLane(10, 'ann'), scheduler.openLane(10, 'ann')]
    const attempts = new Attempts()
    for (const name of ['many-1', 'many-2', 'many-3', 'many-4']) attempts.add(many, 'a', name)
    for (const name of ['few-1', 'few-2']) attempts.add(few, 'b', name)
    while (attempts.running[0] !== undefined) await attempts.end(attempts.running[0])
    expect(attempts.started).toEqual(['many-1', 'few-1', 'many-2', 'few-2', 'many-3', 'many-4'])
  })

  it('lets users take turns, however many runs and tasks each has', async () => {
    const scheduler = new TaskScheduler({ perOrigin: 10, total: 2 })
    const attempts = new Attempts()
    for (let run = 0; run < 10; run++) {
      const lane = scheduler.openLane(64, 'many')
      for (let n = 0; n < 1_000; n++) attempts.add(lane, 'a', `many-${run}-${n}`)
    }
    const few = scheduler.openLane(64, 'few')
    for (let n = 0; n < 10; n++) attempts.add(few, 'a', `few-${n}`)
    for (let ended = 0; ended < 20; ended++) await attempts.end(attempts.running[0] ?? '')
    // Two had begun before the others came; from then on it is one each.
    const begun = attempts.started.slice(2, 22)
    expect(begun.filter((name) => name.startsWith('few'))).toHaveLength(10)
    // The runs of the one who has many take turns among themselves.
    const runs = begun.flatMap((name) => (name.startsWith('many') ? [name.split('-')[1]] : []))
    expect(new Set(runs).size).toBe(10)
  })

  it('lets the origins of a run take turns', async () => {
    const scheduler = new TaskScheduler({ perOrigin: 10, total: 10 })
    const lane = scheduler.openLane(1, 'ann')
    const attempts = new Attempts()
    for (const name of ['a-1', 'a-2', 'a-3']) attempts.add(lane, 'a', name)
    for (const name of ['b-1', 'b-2']) attempts.add(lane, 'b', name)
    while (attempts.running[0] !== undefined) await attempts.end(attempts.running[0])
    expect(attempts.started).toEqual(['a-1', 'a-2', 'b-1', 'a-3', 'b-2'])
  })

  it('frees the slots of an attempt that fails', async () => {
    const scheduler = new TaskScheduler({ perOrigin: 1, total: 1 })
    const attempts = new Attempts()
    const lane = scheduler.openLane(1, 'ann')
    attempts.add(lane, 'a', 'one')
    attempts.add(lane, 'a', 'two')
    await attempts.fail('one')
    expect(attempts.running).toEqual(['two'])
  })

  it('drops what has not started when a lane closes, and lets what runs end', async () => {
    const scheduler = new TaskScheduler({ perOrigin: 1, total: 1 })
    const [closed, open] = [scheduler.openLane(1, 'ann'), scheduler.openLane(1, 'ann')]
    const attempts = new Attempts()
    attempts.add(closed, 'a', 'running')
    attempts.add(closed, 'a', 'waiting')
    attempts.add(open, 'a', 'other run')
    closed.close()
    closed.close()
    attempts.add(closed, 'b', 'too late')
    expect(scheduler.laneCount).toBe(1)
    await attempts.end('running')
    expect(attempts.started).toEqual(['running', 'other run'])
    await attempts.end('other run')
    open.close()
    expect(scheduler).toMatchObject({ activeCount: 0, originCount: 0, laneCount: 0 })
  })

  it('never passes a limit, wastes no slot, and forgets origins and lanes', async () => {
    const limits = fc.record({
      perOrigin: fc.integer({ min: 1, max: 4 }),
      total: fc.integer({ min: 1, max: 6 }),
    })
    const lanes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ add: fc.nat(), origin: fc.constantFrom('a', 'b', 'c') }) },
      { weight: 2, arbitrary: fc.record({ end: fc.nat(), fails: fc.boolean() }) },
    )
    await fc.assert(
      fc.asyncProperty(
        limits,
        lanes,
        fc.array(step, { maxLength: 40 }),
        async (limit, concurrencies, steps) => {
          const scheduler = new TaskScheduler(limit)
          const model = new SchedulerModel(scheduler, limit, concurrencies)
          for (const each of steps) {
            if ('add' in each) model.add(each.add % concurrencies.length, each.origin)
            else await model.end(each.end, each.fails)
            model.check()
          }
          while (model.runningCount > 0) {
            await model.end(0, false)
            model.check()
          }
          expect(model.waitingCount).toBe(0)
          model.close()
          expect(scheduler).toMatchObject({ activeCount: 0, originCount: 0, laneCount: 0 })
        },
      ),
      { numRuns: 200 },
    )
  })
})

interface Job {
  readonly lane: number
  readonly origin: string
  readonly name: string
}

/** Counts by itself what runs and what waits, and compares. */
class SchedulerModel {
  readonly #attempts = new Attempts()
  readonly #jobs = new Map<string, Job>()
  readonly #scheduler: TaskScheduler
  readonly #limits: TaskSchedulerOptions
  readonly #concurrencies: readonly number[]
  readonly #lanes: readonly TaskLane[]

  constructor(scheduler: TaskScheduler, limits: TaskSchedulerOptions, concurrencies: readonly number[]) {
    this.#scheduler = scheduler
    this.#limits = limits
    this.#concurrencies = concurrencies
    this.#lanes = concurrencies.map((concurrency, n) =>
      scheduler.openLane(concurrency, n % 2 === 0 ? 'ann' : 'bob'),
    )
  }

  get runningCount(): number {
    return this.#attempts.running.length
  }

  get waitingCount(): number {
    return this.#jobs.size - this.#attempts.started.length
  }

  add(lane: number, origin: string): void {
    const job = { lane, origin, name: `job-${this.#jobs.size}` }
    this.#jobs.set(job.name, job)
    const opened = this.#lanes[lane]
    if (opened !== undefined) this.#attempts.add(opened, origin, job.name)
  }

  async end(index: number, fails: boolean): Promise<void> {
    const { running } = this.#attempts
    const name = running[index % running.length]
    if (name === undefined) return
    await (fails ? this.#attempts.fail(name) : this.#attempts.end(name))
  }

  check(): void {
    const running = this.#attempts.running.flatMap((name) => this.#jobs.get(name) ?? [])
    const started = new Set(this.#attempts.started)
    const waiting = [...this.#jobs.values()].filter(({ name }) => !started.has(name))
    const room = ({ lane, origin }: Job) => ({
      total: this.#limits.total - running.length,
      origin: this.#limits.perOrigin - running.filter((job) => job.origin === origin).length,
      lane: (this.#concurrencies[lane] ?? 0) - running.filter((job) => job.lane === lane).length,
    })
    expect(this.#scheduler.activeCount).toBe(running.length)
    for (const job of running) expect(Math.min(...Object.values(room(job)))).toBeGreaterThanOrEqual(0)
    // Whoever waits does so because a limit says it.
    for (const job of waiting) expect(Math.min(...Object.values(room(job)))).toBe(0)
  }

  close(): void {
    for (const lane of this.#lanes) lane.close()
  }
}
