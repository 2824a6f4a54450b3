import { LogClosedError } from '@tributary/eventlog'
import { claimEpoch } from './claim-epoch.ts'
import type { RunWork } from './execute-run.ts'
import type { OwnedRun } from './owned-run.ts'
import { type RegistryParts, runOf } from './registry-parts.ts'
import { REQUEST } from './run-attributes.ts'
import { RunAbort, RunElsewhereError } from './run-error.ts'
import type { RunHold, RunRest } from './run-queue.ts'
import type { StoredRun } from './run-records.ts'
import { DEFAULT_RUN_MAX_TAKEOVERS, type RebuildWork } from './run-registry-options.ts'
import { countTakeover, FIRST_TAKEOVER } from './takeovers.ts'

/** Runs that this node goes on with: its own of before a restart, those that waited, and those of nodes that are gone. */
export class TakenRuns {
  readonly #parts: RegistryParts

  constructor(parts: RegistryParts) {
    this.#parts = parts
  }

  /** Opens a run that this process is to go on with, so that it can be read until it is. */
  async goOnLater({ runId, record }: StoredRun): Promise<void> {
    const log = await this.#parts.records.openLog(runId)
    this.#parts.node.add(runOf(this.#parts, runId, { log, record: { ...record, epoch: record.epoch + 1 } }))
  }

  /** Goes on with a run that the queue gives to this node. */
  async take(hold: RunHold, rebuild: RebuildWork): Promise<RunRest> {
    const { node, isDraining } = this.#parts
    if (isDraining()) return 'unfinished'
    await node.putDown(hold.runId)
    const run = node.get(hold.runId) ?? (await this.#takeOver(hold))
    if (run === undefined) return 'ended'
    const work = await this.#rebuilt(run, rebuild)
    // The drain may have begun meanwhile; it waits for this run no more, nor would what its work needs.
    if (isDraining()) return node.leave(run)
    return node.execute(run, this.#boundWork(run, work), hold)
  }

  /** A run that nobody survives is not begun again: its work only says what is lost of it, and if not even that, nobody. */
  #boundWork(run: OwnedRun, work: RunWork): RunWork {
    const { maxTakeovers = DEFAULT_RUN_MAX_TAKEOVERS } = this.#parts.options
    if (run.takeovers <= maxTakeovers) return work
    run.abort(RunAbort.workerLost(run.takeovers))
    return run.takeovers === maxTakeovers + 1 ? work : () => Promise.reject(run.signal.reason)
  }

  async #rebuilt(run: OwnedRun, rebuild: RebuildWork): Promise<RunWork> {
    try {
      const request = run.attribute(REQUEST)
      return await rebuild(run, request === undefined ? undefined : JSON.parse(request))
    } catch (error) {
      if (!(error instanceof RunElsewhereError)) return () => Promise.reject(error)
      this.#parts.node.drop(run)
      throw error
    }
  }

  /**
   * Makes a run of the store this node's; `undefined` where it has ended, or is not there.
   *
   * @throws UnsureRunError where its log was lost just now.
   */
  async #takeOver({ runId, lost }: RunHold): Promise<OwnedRun | undefined> {
    const { records, index, node, options } = this.#parts
    const stored = await records.read(runId)
    if (stored === undefined) return undefined
    if (!stored.closed) {
      const log = await records.openLog(runId)
      const epoch = await claimEpoch(log, stored.record.epoch + 1).catch((error: unknown) => {
        if (!(error instanceof LogClosedError)) throw error
      })
      if (epoch !== undefined) {
        const { clock } = options
        const takeover =
          stored.record.epoch === 0 ? FIRST_TAKEOVER : await countTakeover(log, { clock, end: aborted(lost) })
        const run = runOf(this.#parts, runId, { log, record: { ...stored.record, epoch }, takeover })
        node.add(run)
        return run
      }
    }
    // Whoever ended it did not come as far as to say so.
    const ended = await records.read(runId)
    if (ended !== undefined) await index.end(ended)
    return undefined
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (signal.aborted) resolve()
  else signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
