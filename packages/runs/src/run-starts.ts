import type { OnceKey } from '@tributary/eventlog'
import { newRunId, ProblemError } from '@tributary/protocol'
import { DistantRun } from './distant-run.ts'
import type { RunWork } from './execute-run.ts'
import type { KnownRun } from './known-run.ts'
import type { OwnedRun } from './owned-run.ts'
import type { QueuedRuns } from './queued-runs.ts'
import type { ReaderMarks } from './reader-marks.ts'
import { type RegistryParts, runOf } from './registry-parts.ts'
import { NO_RUN_METER } from './run-meter.ts'
import { newRecord } from './run-record.ts'
import type { StartedOnce, StartOptions } from './run-registry-options.ts'
import type { UserRuns } from './user-runs.ts'

export interface RunStartsOptions extends RegistryParts {
  readonly userRuns: UserRuns
  readonly queued: QueuedRuns
  readonly marks: ReaderMarks
  /** @throws ProblemError where there is none, or none any more. */
  readonly find: (runId: string) => Promise<KnownRun>
}

/** The key that a run was claimed with, and what is prepared of it already. */
interface ClaimedKey {
  readonly once: OnceKey
  readonly preparedAs?: string | undefined
}

/** Accepts runs: a run is accepted once it is stored, known to all nodes, and sure to be executed by one. */
export class RunStarts {
  readonly #options: RunStartsOptions

  constructor(options: RunStartsOptions) {
    this.#options = options
  }

  /** @throws as `RunRegistry.start` */
  async start(runId: string, options: StartOptions, work: RunWork, claimed?: ClaimedKey): Promise<KnownRun> {
    return this.#unlessTaken(await this.#start(runId, options, work, claimed))
  }

  async #start(
    runId: string,
    options: StartOptions,
    work: RunWork,
    claimed: ClaimedKey | undefined,
  ): Promise<KnownRun> {
    const { index, userRuns } = this.#options
    const { userId, totalTasks } = options
    try {
      this.#refuseWhileDraining()
      if (claimed === undefined) await index.claim(runId)
      // Also for those that are only about to be accepted: who asks for many at once gets no more.
      await userRuns.take(userId, runId, totalTasks)
      try {
        return await this.#accept(runId, options, work, claimed)
      } catch (error) {
        userRuns.release(userId, runId)
        throw error
      }
    } catch (error) {
      await this.#abandon(runId, options, claimed)
      throw error
    }
  }

  /** @throws as `RunRegistry.startOnce` */
  async startOnce(once: OnceKey, options: StartOptions, work: RunWork): Promise<StartedOnce> {
    const { index, find } = this.#options
    for (;;) {
      const runId = newRunId()
      const claim = await index.claim(runId, once)
      if (claim.kind === 'ours') {
        const claimed = { once, preparedAs: claim.preparedAs }
        return { run: await this.start(runId, options, work, claimed), replayed: false }
      }
      // Where that one comes to nothing, it is as if it had never been asked for.
      if (await claim.accepted) return { run: await find(claim.runId), replayed: true }
    }
  }

  /** Stores a run, and prepares it. Where that fails there was none. */
  async #accept(
    runId: string,
    options: StartOptions,
    work: RunWork,
    { once, preparedAs }: Partial<ClaimedKey> = {},
  ): Promise<KnownRun> {
    const { records, index, queue, node, queued, marks, isDraining, report } = this.#options
    const { clock, fleet, store, meter = NO_RUN_METER } = this.#options.options
    const { userId, kind, request, prepare, anywhere = false } = options
    const isQueued = anywhere && fleet !== undefined
    const keyed = once && { key: once.key, fingerprint: once.fingerprint }
    const record = newRecord(options, clock.now(), keyed, { epoch: isQueued ? 0 : 1, preparedAs })
    const log = await records.create(runId, record, request)
    const accepted = { runId, userId }
    try {
      if (isQueued) {
        await index.add({ runId, record })
        // Not taken back: it may be queued without an answer, and begun. Where it is not, it is found to be missing.
        await queue.add(accepted).catch((error: unknown) => report(error, runId))
        queued.add(userId, runId, log)
        meter.started(kind)
        const openLog = async () => log
        return new DistantRun({ runId, record, lastEventId: undefined, openLog, marks })
      }
      const run = runOf(this.#options, runId, { log, record })
      await prepare?.(run)
      // The drain may have begun meanwhile, and would not wait for this run.
      if (!store.durable) this.#refuseWhileDraining()
      await index.add({ runId, record })
      node.add(run)
      meter.started(kind)
      // What was prepared elsewhere goes on, and must not be prepared again: the run is accepted, and begun after the restart.
      if (isDraining()) await this.#passOn(run)
      else await queue.hold(accepted, (hold) => node.execute(run, work, hold))
      return run
    } catch (error) {
      const run = node.get(runId)
      if (run !== undefined) node.drop(run)
      await records.drop(runId).catch((failure: unknown) => report(failure, runId))
      throw error
    }
  }

  /** The run, as this node has it: where it was frozen in the midst of that, another has taken what seemed to be nobody's. */
  async #unlessTaken(run: KnownRun): Promise<KnownRun> {
    const { node, options, find, isDraining } = this.#options
    const own = node.get(run.id)
    if (options.fleet === undefined || own !== run || node.isExecuting(own) || isDraining()) return run
    own.suspend()
    node.drop(own)
    return find(own.id)
  }

  /** Where the same may be asked for again with its key, what was prepared is kept for that: it must not be begun twice. */
  async #abandon(
    runId: string,
    { prepare, abandon }: StartOptions,
    claimed: ClaimedKey | undefined,
  ): Promise<void> {
    const { index, options, report } = this.#options
    const isKept = prepare !== undefined && claimed !== undefined && options.fleet !== undefined
    const preparedAs = isKept ? (claimed.preparedAs ?? runId) : undefined
    await index.abandon(runId, preparedAs).catch((failure: unknown) => report(failure, runId))
    // Not awaited: who is away would keep whoever asked waiting.
    if (!isKept) void abandon?.()
  }

  /** Leaves a run that this node accepted to the next, or to itself after a restart. */
  async #passOn(run: OwnedRun): Promise<void> {
    const { options, queue } = this.#options
    run.suspend()
    if (options.fleet !== undefined) await queue.add({ runId: run.id, userId: run.userId })
  }

  #refuseWhileDraining(): void {
    if (!this.#options.isDraining()) return
    throw new ProblemError('draining', 'This server takes no more runs; try again in a moment', {
      retryAfterS: 1,
    })
  }
}
