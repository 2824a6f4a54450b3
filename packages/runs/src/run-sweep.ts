import { LostRuns } from './lost-runs.ts'
import { MissingRuns } from './missing-runs.ts'
import type { RegistryParts } from './registry-parts.ts'
import { DEFAULT_RUN_MAX_AGE_MS, DEFAULT_RUN_MAX_COUNT } from './run-registry-options.ts'
import { UnendedRuns } from './unended-runs.ts'

/** How often finished runs are looked through for what is past its retention. */
const SWEEP_INTERVAL_MS = 30_000
/** How often it is looked for runs of a fleet that the queue has lost, which go on after the second look. */
const LOOK_INTERVAL_MS = 5_000

/** Looks now and then what is to be forgotten, and in a fleet what Redis has lost. */
export class RunSweep {
  /** Finds runs again that the index has lost. */
  readonly lost: LostRuns
  readonly #parts: RegistryParts
  readonly #missing: MissingRuns
  readonly #unended: UnendedRuns
  readonly #timers: readonly (() => void)[]
  #sweeping = Promise.resolve()

  constructor(parts: RegistryParts) {
    this.#parts = parts
    const { clock, fleet } = parts.options
    this.lost = new LostRuns(parts)
    this.#missing = new MissingRuns(parts)
    this.#unended = new UnendedRuns(parts)
    const onError = (error: unknown) => parts.report(error, 'runs')
    this.#timers = [
      clock.every(SWEEP_INTERVAL_MS, () => void this.sweep().catch(onError)),
      // What goes wrong is said by the sweep, which looks, too.
      ...(fleet === undefined
        ? []
        : [clock.every(LOOK_INTERVAL_MS, () => void this.#missing.look().catch(() => undefined))]),
    ]
  }

  /** Resolves once earlier sweeps have, too. */
  sweep(): Promise<void> {
    const sweeping = this.#sweeping.then(() => this.#sweep())
    this.#sweeping = sweeping.catch(() => undefined)
    return sweeping
  }

  stop(): void {
    for (const stop of this.#timers) stop()
  }

  async #sweep(): Promise<void> {
    const { options, index, queue, records, node, report } = this.#parts
    if (options.fleet !== undefined) {
      const own = [...node.values()].map(({ id }) => id)
      if (await this.lost.look(own))
        report(new Error('Redis had lost runs of the index; restored from their logs'), 'runs')
      await this.#missing.look()
      await this.#unended.look()
    }
    const { maxAgeMs = DEFAULT_RUN_MAX_AGE_MS, maxCount = DEFAULT_RUN_MAX_COUNT } = options
    const gone = await index.forget({ maxAgeMs, maxCount })
    if (gone.length === 0) return
    const dropped: string[] = []
    const missing = new Set(options.fleet === undefined ? gone : await queue.missing(gone))
    for (const runId of gone) {
      if ((!missing.has(runId) || node.get(runId) !== undefined) && (await this.#isKept(runId))) continue
      await records.drop(runId).then(
        () => dropped.push(runId),
        (error: unknown) => report(error, runId),
      )
    }
    await index.dropped(dropped)
  }

  /** Where a failover has left the claim of a run alone, and lost that it was accepted, its log is not to be dropped. */
  async #isKept(runId: string): Promise<boolean> {
    const { index, records } = this.#parts
    const stored = await records.read(runId)
    if (stored === undefined || stored.closed) return false
    await index.dropped([runId])
    return (await index.restore?.(stored, true)) === 'known'
  }
}
