import type { Clock } from '@tributary/protocol'
import type { ExecuteRun, QueuedRun, RunHold, RunQueue } from './run-queue.ts'

/** How long after a failure a run is tried again, in ms. */
const RETRY_MS = 1_000

const NEVER_LOST = new AbortController().signal

/** The queue of one process that has its runs for itself: all begin at once. What it was to do goes with it. */
export class LocalRunQueue implements RunQueue {
  readonly #clock: Clock
  readonly #waiting = new Map<string, QueuedRun>()
  readonly #retries = new Set<() => void>()
  #taker: ExecuteRun | undefined
  #paused = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async add(run: QueuedRun): Promise<void> {
    if (this.#paused) return
    if (this.#taker === undefined) this.#waiting.set(run.runId, run)
    else this.#execute(run, this.#taker)
  }

  async hold(run: QueuedRun, execute: ExecuteRun): Promise<void> {
    this.#execute(run, execute)
  }

  take(execute: ExecuteRun): void {
    this.#taker = execute
    for (const run of this.#waiting.values()) this.#execute(run, execute)
    this.#waiting.clear()
  }

  async hurry(run: QueuedRun): Promise<boolean> {
    if (this.#taker === undefined || !this.#waiting.delete(run.runId)) return false
    this.#execute(run, this.#taker)
    return true
  }

  async missing(): Promise<readonly string[]> {
    return []
  }

  async unreachable(): Promise<ReadonlySet<string>> {
    return new Set()
  }

  mayBeReplaced(): boolean {
    return false
  }

  async pause(): Promise<void> {
    this.#paused = true
    for (const cancel of this.#retries) cancel()
    this.#retries.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pause()
  }

  #execute(run: QueuedRun, execute: ExecuteRun): void {
    const hold: RunHold = { runId: run.runId, lost: NEVER_LOST }
    execute(hold).then(
      (rest) => {
        if (rest === 'unfinished') this.#again(run, 0)
      },
      () => this.#again(run, RETRY_MS),
    )
  }

  #again(run: QueuedRun, delayMs: number): void {
    if (this.#paused) return
    const cancel = this.#clock.after(delayMs, () => {
      this.#retries.delete(cancel)
      void this.add(run)
    })
    this.#retries.add(cancel)
  }
}
