import type { EventStore, OnceKey } from '@tributary/eventlog'
import type { Clock, RunStatus } from '@tributary/protocol'
import { ForgottenRuns } from './forgotten-runs.ts'
import { OnceRuns } from './once-runs.ts'
import type { IndexedRun, NewestRunsQuery, RunClaim, RunIndex, RunRetention } from './run-index.ts'
import { byStart, type RunStart } from './run-list.ts'
import { endOf } from './run-record.ts'
import type { StoredRun } from './run-records.ts'

/** The longest that a key of a run is remembered. */
const MAX_ONCE_WINDOW_MS = 7 * 86_400_000
const PAGE = 256

export interface LocalRunIndexOptions {
  readonly store: EventStore
  readonly clock: Clock
  /** What the store has. Default: nothing. */
  readonly stored?: readonly StoredRun[]
  /** Told where it cannot be stored that runs were. */
  readonly onError: (error: unknown) => void
}

/** The runs of one process, in its memory, as it found them in its store. */
export class LocalRunIndex implements RunIndex {
  readonly #clock: Clock
  readonly #forgotten: ForgottenRuns
  readonly #onError: (error: unknown) => void
  readonly #once = new OnceRuns()
  /** Of those that were claimed with a key: whether they are accepted. */
  readonly #claims = new Map<string, PromiseWithResolvers<boolean>>()
  readonly #live = new Map<string, IndexedRun>()
  // In the order of their end.
  readonly #ended = new Map<string, IndexedRun>()

  private constructor({ clock, onError, stored = [] }: LocalRunIndexOptions, forgotten: ForgottenRuns) {
    this.#clock = clock
    this.#onError = onError
    this.#forgotten = forgotten
    for (const run of stored) if (!run.closed) this.#live.set(run.runId, run)
    const ended = stored.filter(({ closed }) => closed)
    for (const run of ended.sort((a, b) => endOf(a.record) - endOf(b.record))) this.#ended.set(run.runId, run)
    const keyed = [...forgotten.all(), ...stored.map(({ runId, record }) => ({ runId, ...record }))]
    for (const { runId, startedAt, once } of keyed.sort((a, b) => a.startedAt - b.startedAt)) {
      if (once === undefined) continue
      const { key, fingerprint } = once
      this.#once.add(key, { fingerprint, startedAt, runId, accepted: Promise.resolve(true) })
    }
  }

  static async open(options: LocalRunIndexOptions): Promise<LocalRunIndex> {
    return new LocalRunIndex(options, await ForgottenRuns.open(options.store))
  }

  counts(): ReadonlyMap<RunStatus, number> {
    const counts = new Map<RunStatus, number>()
    for (const { record } of this.#ended.values()) {
      const { status } = record.ended ?? { status: 'failed' }
      counts.set(status, (counts.get(status) ?? 0) + 1)
    }
    return counts
  }

  async claim(runId: string, once?: OnceKey): Promise<RunClaim> {
    if (once === undefined) return { kind: 'ours' }
    const startedAt = this.#clock.now()
    const known = this.#once.find(once, startedAt)
    if (known !== undefined) return { kind: 'theirs', runId: known.runId, accepted: known.accepted }
    const claim = Promise.withResolvers<boolean>()
    this.#claims.set(runId, claim)
    const { key, fingerprint } = once
    this.#once.add(key, { fingerprint, startedAt, runId, accepted: claim.promise })
    return { kind: 'ours' }
  }

  async add(run: IndexedRun): Promise<void> {
    this.#live.set(run.runId, run)
    this.#settleClaim(run.runId, true)
  }

  async abandon(runId: string): Promise<void> {
    this.#live.delete(runId)
    this.#settleClaim(runId, false)
  }

  async end(run: IndexedRun): Promise<void> {
    if (this.#live.delete(run.runId)) this.#ended.set(run.runId, run)
  }

  async find(runId: string): Promise<IndexedRun | 'gone' | undefined> {
    const run = this.#live.get(runId) ?? this.#ended.get(runId)
    return run ?? (this.#forgotten.has(runId) ? 'gone' : undefined)
  }

  async *newest({ userId, after }: NewestRunsQuery): AsyncGenerator<readonly IndexedRun[]> {
    const wanted = [...this.#live.values(), ...this.#ended.values()]
      .filter((run) => userId === undefined || run.record.userId === userId)
      .filter((run) => after === undefined || byStart(startOf(run), after) > 0)
      .sort((a, b) => byStart(startOf(a), startOf(b)))
    for (let from = 0; from < wanted.length; from += PAGE) yield wanted.slice(from, from + PAGE)
  }

  async unfinished(after: string, limit: number): Promise<readonly IndexedRun[]> {
    const runs = [...this.#live.values()].filter(({ runId }) => runId > after)
    return runs.sort((a, b) => (a.runId < b.runId ? -1 : 1)).slice(0, limit)
  }

  async forget({ maxAgeMs, maxCount }: RunRetention): Promise<readonly string[]> {
    const now = this.#clock.now()
    this.#once.forgetBefore(now - MAX_ONCE_WINDOW_MS)
    const gone: IndexedRun[] = []
    for (const run of this.#ended.values()) {
      if (endOf(run.record) >= now - maxAgeMs && this.#ended.size <= maxCount) break
      this.#ended.delete(run.runId)
      gone.push(run)
    }
    if (gone.length === 0) return []
    // Where that cannot be stored the runs go all the same: on a full disk it is what makes room.
    await this.#forgotten.add(gone).catch(this.#onError)
    return gone.map(({ runId }) => runId)
  }

  async dropped(): Promise<void> {}

  #settleClaim(runId: string, accepted: boolean): void {
    this.#claims.get(runId)?.resolve(accepted)
    this.#claims.delete(runId)
  }
}

function startOf({ runId, record: { startedAt } }: IndexedRun): RunStart {
  return { runId, startedAt }
}
