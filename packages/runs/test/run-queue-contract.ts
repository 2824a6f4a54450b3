import { describe, expect, it, vi } from 'vitest'
import type { ExecuteRun, RunQueue, RunRest } from '../src/run-queue.ts'

/** Opens a queue for one test; the same place for each `open` of it, as nodes share it. */
export type NewQueue = () => Promise<{ open(): Promise<RunQueue> } & AsyncDisposable>

const BEGUN = { timeout: 10_000, interval: 5 }

/** Executes runs as the test says, and notes which. Disposed, it ends them all: queues wait for what they execute. */
export class Executor implements Disposable {
  readonly begun: string[] = []
  readonly #rests = new Map<string, PromiseWithResolvers<RunRest>>()
  #hasEnded = false

  readonly execute: ExecuteRun = async ({ runId }) => {
    this.begun.push(runId)
    if (this.#hasEnded) return 'ended'
    const rest = Promise.withResolvers<RunRest>()
    this.#rests.set(runId, rest)
    return rest.promise
  }

  rest(runId: string, rest: RunRest = 'ended'): void {
    this.#rests.get(runId)?.resolve(rest)
  }

  fail(runId: string): void {
    this.#rests.get(runId)?.reject(new Error('not now'))
  }

  /** Waits until so many have begun. */
  async until(count: number): Promise<string[]> {
    await vi.waitFor(() => expect(this.begun.length, `${this.begun}`).toBeGreaterThanOrEqual(count), BEGUN)
    return this.begun
  }

  /** Ends what it has begun, and at once what it is given from now on, as where a run is found to have ended. */
  endAll(): void {
    this.#hasEnded = true
    for (const runId of this.begun) this.rest(runId)
  }

  [Symbol.dispose](): void {
    this.endAll()
  }
}

const ann = (runId: string) => ({ runId, userId: 'ann' })

/** What holds of every queue of runs. */
export function runQueueContract(name: string, newQueue: NewQueue): void {
  describe(`${name}, as a queue of runs`, () => {
    it('gives each run that is added to one who takes, also those from before', async () => {
      await using place = await newQueue()
      await using queue = await place.open()
      const executor = new Executor()
      await queue.add(ann('run_1'))
      queue.take(executor.execute)
      await queue.add(ann('run_2'))
      expect((await executor.until(2)).toSorted()).toEqual(['run_1', 'run_2'])
      for (const runId of executor.begun) executor.rest(runId)
    })

    it('executes what is held at once, whether or not anybody takes', async () => {
      await using place = await newQueue()
      await using queue = await place.open()
      const executor = new Executor()
      await queue.hold(ann('run_1'), executor.execute)
      expect(executor.begun).toEqual(['run_1'])
      executor.rest('run_1')
    })

    it('gives a run again that was not finished', async () => {
      await using place = await newQueue()
      await using queue = await place.open()
      const [executor, taker] = [new Executor(), new Executor()]
      queue.take(taker.execute)
      await queue.add(ann('run_1'))
      await taker.until(1)
      taker.rest('run_1', 'unfinished')
      await taker.until(2)
      await queue.hold(ann('run_2'), executor.execute)
      executor.rest('run_2', 'unfinished')
      expect(await taker.until(3)).toEqual(['run_1', 'run_1', 'run_2'])
      for (const runId of ['run_1', 'run_2']) taker.rest(runId)
    })

    it('tries a run again whose execution failed', async () => {
      await using place = await newQueue()
      await using queue = await place.open()
      const executor = new Executor()
      queue.take(executor.execute)
      await queue.add(ann('run_1'))
      await executor.until(1)
      executor.fail('run_1')
      expect(await executor.until(2)).toEqual(['run_1', 'run_1'])
      executor.rest('run_1')
    })

    it('gives no more once it is paused', async () => {
      await using place = await newQueue()
      await using queue = await place.open()
      const executor = new Executor()
      queue.take(executor.execute)
      await queue.add(ann('run_1'))
      await executor.until(1)
      await queue.pause()
      await queue.add(ann('run_2'))
      executor.rest('run_1')
      await queue[Symbol.asyncDispose]()
      expect(executor.begun).toEqual(['run_1'])
    })

    it('does not give what has ended, nor hurries what does not wait', async () => {
      await using place = await newQueue()
      await using queue = await place.open()
      const executor = new Executor()
      queue.take(executor.execute)
      await queue.hold(ann('run_1'), executor.execute)
      expect(await queue.hurry(ann('run_1'))).toBe(false)
      executor.rest('run_1')
      await queue.add(ann('run_2'))
      await executor.until(2)
      expect(await queue.hurry(ann('run_2'))).toBe(false)
      expect(await queue.hurry(ann('run_3'))).toBe(false)
      executor.rest('run_2')
      await queue.add(ann('run_4'))
      expect(await executor.until(3)).toEqual(['run_1', 'run_2', 'run_4'])
      executor.rest('run_4')
    })
  })
}
