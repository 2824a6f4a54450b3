import type { EventLog } from '@tributary/eventlog'
import { type Clock, ProblemError, type RunListQuery, type RunView } from '@tributary/protocol'
import { DistantRun } from './distant-run.ts'
import { EndedRun } from './ended-run.ts'
import type { KnownRun } from './known-run.ts'
import type { LostRuns } from './lost-runs.ts'
import type { ReaderMarks } from './reader-marks.ts'
import type { Run } from './run.ts'
import { UnsureRunError } from './run-error.ts'
import type { IndexedRun, RunIndex } from './run-index.ts'
import { DEFAULT_LIST_LIMIT, isWanted, pageOfRuns, parseListCursor, type RunPage } from './run-list.ts'
import type { RunQueue } from './run-queue.ts'
import type { RunRecords } from './run-records.ts'

/** For how long after a run has ended its log may be lost by a failover and be put back, in ms: more than any node takes. */
const LOST_LOG_MS = 30_000

export interface KnownRunsOptions {
  readonly index: RunIndex
  readonly queue: RunQueue
  readonly records: RunRecords
  readonly marks: ReaderMarks
  readonly lost: LostRuns
  readonly clock: Pick<Clock, 'now'>
  /** A run that this node works at. */
  readonly own: (runId: string) => Run | undefined
}

/** All the runs there are, whichever node works at them: from what this node has itself, the index, and their logs. */
export class KnownRuns {
  readonly #options: KnownRunsOptions

  constructor(options: KnownRunsOptions) {
    this.#options = options
  }

  async get(runId: string): Promise<KnownRun | undefined> {
    const found = await this.#lookUp(runId)
    return found === 'gone' ? undefined : found
  }

  /** @throws ProblemError `run_not_found`; `run_gone` where it was here and is kept no longer. */
  async find(runId: string): Promise<KnownRun> {
    const found = await this.#lookUp(runId)
    if (found === undefined) {
      throw new ProblemError('run_not_found', `There is no run ${JSON.stringify(runId)}.`)
    }
    if (found !== 'gone') return found
    throw goneError(runId)
  }

  /** @throws ProblemError where `after` is no cursor of a list. */
  async list(query: RunListQuery, userId: string | undefined): Promise<RunPage> {
    const { limit = DEFAULT_LIST_LIMIT, after } = query
    const newest = { userId, after: after === undefined ? undefined : parseListCursor(after) }
    const views: RunView[] = []
    for await (const page of this.#options.index.newest(newest)) {
      const unreachable = await this.#unreachable(page)
      const told = await Promise.all(page.map((run) => this.#viewOf(run, unreachable)))
      for (const view of told) if (view !== undefined && isWanted(view, query)) views.push(view)
      if (views.length > limit) break
    }
    return pageOfRuns(views, query)
  }

  async #lookUp(runId: string): Promise<KnownRun | 'gone' | undefined> {
    const { own, index, lost } = this.#options
    const known = own(runId)
    if (known !== undefined) return known
    const indexed = (await index.find(runId)) ?? (await lost.find(runId))
    if (indexed === 'gone') return indexed
    const run = indexed && (await this.#knownRun(indexed, await this.#unreachable([indexed])))
    // It may have begun here meanwhile.
    const found = own(runId) ?? run
    if (found === undefined && index.isUnsure?.()) throw new UnsureRunError(runId)
    return found
  }

  /** Of those that go on elsewhere. */
  #unreachable(page: readonly IndexedRun[]): Promise<ReadonlySet<string>> {
    const { queue, own } = this.#options
    const distant = page.filter(({ runId, record }) => record.ended === undefined && own(runId) === undefined)
    return queue.unreachable(distant.map(({ runId }) => runId))
  }

  async #knownRun(indexed: IndexedRun, unreachable: ReadonlySet<string>): Promise<KnownRun | undefined> {
    const { runId } = indexed
    if (indexed.record.ended !== undefined) return this.#endedRun(indexed)
    const { records, marks } = this.#options
    const stored = await records.read(runId)
    if (stored === undefined) return undefined
    if (stored.closed) return this.#endedRun(stored)
    const openLog = () => records.openLog(runId)
    return new DistantRun({ ...stored, marks, openLog, unreachable: unreachable.has(runId) })
  }

  #endedRun(indexed: IndexedRun): EndedRun {
    const { runId } = indexed
    return new EndedRun(indexed, async (): Promise<EventLog> => {
      const { records } = this.#options
      // It may be kept no longer by now.
      await this.find(runId)
      try {
        return await records.openLog(runId)
      } catch (error) {
        if (error instanceof UnsureRunError && !this.#mayComeBack(indexed)) throw goneError(runId)
        throw error
      }
    })
  }

  /** Whether a log that is not there may be put back yet. */
  #mayComeBack({ record: { ended } }: IndexedRun): boolean {
    const { index, clock } = this.#options
    if (index.isUnsure === undefined) return false
    return index.isUnsure() || (ended !== undefined && clock.now() - ended.at < LOST_LOG_MS)
  }

  async #viewOf(indexed: IndexedRun, unreachable: ReadonlySet<string>): Promise<RunView | undefined> {
    const run = this.#options.own(indexed.runId) ?? (await this.#knownRun(indexed, unreachable))
    return run?.view()
  }
}

function goneError(runId: string): ProblemError {
  return new ProblemError('run_gone', `The run ${JSON.stringify(runId)} has ended, and is no longer kept.`)
}
