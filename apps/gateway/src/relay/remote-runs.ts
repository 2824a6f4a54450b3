import type { WholeAnswer } from '@tributary/outbound'
import {
  CancelAnswer,
  FinalRunStatus,
  MAX_POLL_WAIT_MS,
  ProblemError,
  RunList,
  type RunListQuery,
  RunView,
} from '@tributary/protocol'
import type { RunPage } from '@tributary/runs'
import { type Asker, checkOwner, ownerSeenBy } from '@tributary/service'
import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { badAnswer, isAway, type Worker } from './worker.ts'
import { noWorker, type PlacedRun, type WorkerPool } from './worker-pool.ts'

/** Runs whose worker and last view are remembered; of others the workers are asked. The oldest are forgotten first. */
const MAX_REMEMBERED_RUNS = 50_000
/** How long a worker may take to say where its runs stand, in ms, before it is told as away. */
const VIEW_TIMEOUT_MS = 2_000

/** A worker answers a cancel once the run has ended, and within 10 s, in ms. */
const CANCEL_TIMEOUT_MS = 15_000

/** What a worker's page says beside its body. */
const PASSED_HEADERS = ['content-type', 'cache-control', 'run-id', 'location'] as const

interface RememberedRun {
  readonly worker: Worker
  /** Who started it. */
  readonly userId: string
  /** As the worker last told it. */
  readonly view?: RunView
}

/** A page of the workers' runs, and who did not answer. */
export interface RemotePage extends RunPage {
  /** The addresses of the workers that did not; of their runs those are in it that are remembered. */
  readonly unreachable: string[]
}

/** The workers' runs, as they tell of them, and as they are remembered while a worker is away. */
export class RemoteRuns {
  readonly #pool: WorkerPool
  readonly #remembered = new Map<string, RememberedRun>()

  constructor(pool: WorkerPool) {
    this.#pool = pool
  }

  /** Runs whose worker is remembered. */
  get rememberedCount(): number {
    return this.#remembered.size
  }

  /** Notes where a run is, and what is known of it. */
  #remember(runId: string, run: RememberedRun): void {
    this.#remembered.delete(runId)
    this.#remembered.set(runId, run)
    if (this.#remembered.size <= MAX_REMEMBERED_RUNS) return
    const [oldest] = this.#remembered.keys()
    if (oldest !== undefined) this.#remembered.delete(oldest)
  }

  #rememberView(worker: Worker, view: RunView): RememberedRun {
    const run = { worker, userId: view.userId, view }
    this.#remember(view.runId, run)
    return run
  }

  /** Notes a run that was just started for somebody, and asks about it where nothing is known of it. */
  noteStarted(
    { runId, worker, status }: PlacedRun,
    { userId }: Asker,
    known?: Omit<RunView, 'runId' | 'status' | 'userId'>,
  ): void {
    const view = known === undefined ? this.#remembered.get(runId)?.view : { runId, userId, status, ...known }
    this.#remember(runId, { worker, userId: view?.userId ?? userId, ...(view === undefined ? {} : { view }) })
    if (known !== undefined) return
    // For the time when the worker is away; that it may be already changes nothing.
    void this.#ask(worker, RunView, `/api/runs/${runId}`).then(
      (said) => void this.#rememberView(worker, said),
      () => undefined,
    )
  }

  /** Notes what has become of a run. */
  noteChange(runId: string, change: Partial<RunView>): void {
    const known = this.#remembered.get(runId)
    if (known?.view !== undefined) this.#rememberView(known.worker, { ...known.view, ...change })
  }

  /**
   * Where a run is, for who may read it. Whose it is never changes, so what a worker said once still stands while it
   * is away.
   *
   * @throws ProblemError `forbidden` where it is somebody else's; `run_not_found`, `run_gone`, `upstream_unavailable`.
   */
  async locate(runId: string, asker: Asker): Promise<Worker> {
    const { worker, userId } = this.#remembered.get(runId) ?? (await this.#find(runId))
    checkOwner(asker, userId)
    return worker
  }

  async #find(runId: string): Promise<RememberedRun> {
    const failures: unknown[] = []
    for (const group of this.#groups()) {
      const asked = await Promise.allSettled(
        group.map(async (worker) => {
          const view = await this.#ask(worker, RunView, `/api/runs/${encodeURIComponent(runId)}`)
          return this.#rememberView(worker, view)
        }),
      )
      for (const each of asked) {
        if (each.status === 'fulfilled') return each.value
        failures.push(each.reason)
      }
      // Where they share their runs, one knows of all.
      if (this.#pool.shared && !failures.every(isAway)) break
    }
    const isNotFound = (error: unknown) => error instanceof ProblemError && error.code === 'run_not_found'
    const telling = failures.find((error) => !isNotFound(error) && !isAway(error))
    if (telling !== undefined) throw telling
    // A worker that is away may be the one.
    const away = failures.find(isAway)
    if (away !== undefined) throw noWorker(away)
    throw new ProblemError(
      'run_not_found',
      `There is no run ${JSON.stringify(runId)}; it may have been too old to keep.`,
    )
  }

  /** Who is asked at once about runs of which nothing is known: all, or where they share them one after the other. */
  #groups(): readonly (readonly Worker[])[] {
    return this.#pool.shared ? this.#pool.inTurn().map((worker) => [worker]) : [this.#pool.workers]
  }

  /** Where a run stands: `unreachable` where its worker is away. @throws as `locate` */
  async view(runId: string, asker: Asker): Promise<RunView> {
    const worker = await this.locate(runId, asker)
    try {
      return await this.#pool.askServing(worker, async (each) => {
        const view = await this.#ask(each, RunView, `/api/runs/${runId}`, asker)
        this.#rememberView(each, view)
        return view
      })
    } catch (error) {
      if (!isAway(error)) throw error
      const view = this.#remembered.get(runId)?.view
      if (view === undefined) throw noWorker(error)
      return awayView(view)
    }
  }

  /** A page of a run's events, as its worker answers it. @throws as `locate` */
  async page(
    runId: string,
    asker: Asker,
    { query, lastEventId }: { query: Query & { readonly wait?: number }; lastEventId: string | undefined },
  ): Promise<Pick<WholeAnswer, 'headers' | 'body'>> {
    const worker = await this.locate(runId, asker)
    const { wait = 0 } = query
    try {
      const path = `/api/runs/${runId}/events?${queryText(query)}`
      const request = {
        as: asker,
        timeoutMs: Math.min(wait, MAX_POLL_WAIT_MS) + VIEW_TIMEOUT_MS,
        headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
      }
      const { headers, body } = await this.#pool.askServing(worker, (each) => each.request(path, request))
      const passed = PASSED_HEADERS.flatMap((name) => {
        const value = headers[name]
        return value === undefined ? [] : [[name, value]]
      })
      return { headers: Object.fromEntries(passed), body }
    } catch (error) {
      throw isAway(error) ? noWorker(error) : error
    }
  }

  /** Cancels a run at its worker. @throws as `locate` */
  async cancel(runId: string, asker: Asker): Promise<CancelAnswer> {
    const worker = await this.locate(runId, asker)
    try {
      const path = `/api/runs/${runId}/cancel`
      const request = { method: 'POST', timeoutMs: CANCEL_TIMEOUT_MS, as: asker } as const
      return await this.#pool.askServing(worker, async (each) => {
        const { body } = await each.request(path, request)
        return read(each, CancelAnswer, path, body)
      })
    } catch (error) {
      throw isAway(error) ? noWorker(error) : error
    }
  }

  /**
   * A page of the runs that somebody may see, of all workers: where they share them as the first says that is there,
   * otherwise of each of them, which is asked for as many.
   */
  async list(query: RunListQuery, asker: Asker): Promise<RemotePage> {
    const path = `/api/runs?${queryText(query)}`
    for (const worker of this.#pool.shared ? this.#pool.inTurn() : []) {
      const page = await this.#ask(worker, RunList, path, asker).catch(() => undefined)
      if (page === undefined) continue
      for (const view of page.runs) this.#rememberView(worker, view)
      return { ...page, unreachable: [] }
    }
    const runs: RunView[] = []
    const unreachable: string[] = []
    let next: string | undefined
    const ask = async (worker: Worker) => {
      try {
        const page = await this.#ask(worker, RunList, path, asker)
        for (const view of page.runs) this.#rememberView(worker, view)
        runs.push(...page.runs)
        next ??= page.next
      } catch {
        // One that answers something else is of no more use for this than one that is away.
        unreachable.push(worker.url)
        runs.push(...this.#awayViews(worker, asker))
      }
    }
    await Promise.all(this.#pool.workers.map(ask))
    return { runs, unreachable: unreachable.sort(), ...(next === undefined ? {} : { next }) }
  }

  #awayViews(worker: Worker, asker: Asker): RunView[] {
    const seen = ownerSeenBy(asker)
    const views: RunView[] = []
    for (const { worker: known, userId, view } of this.#remembered.values()) {
      if (known !== worker || view === undefined) continue
      if (seen === undefined || seen === userId) views.push(awayView(view))
    }
    return views
  }

  async #ask<T extends TSchema>(worker: Worker, schema: T, path: string, as?: Asker): Promise<Static<T>> {
    const { body } = await worker.request(path, { timeoutMs: VIEW_TIMEOUT_MS, as })
    return read(worker, schema, path, body)
  }
}

type Query = Readonly<Record<string, string | number | undefined>>

/** What came with a request, but for whose it is: that the worker is told by a token of ours. */
const NOT_SENT = new Set(['token', 'userId'])

function queryText(query: Query): string {
  const sent = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && !NOT_SENT.has(name)) sent.set(name, String(value))
  }
  return sent.toString()
}

/** What is known of a run whose worker is away. What has ended stays so. */
function awayView(view: RunView): RunView {
  return Value.Check(FinalRunStatus, view.status) ? view : { ...view, status: 'unreachable' }
}

function read<T extends TSchema>(worker: Worker, schema: T, path: string, body: Uint8Array): Static<T> {
  try {
    const answer: unknown = JSON.parse(new TextDecoder().decode(body))
    if (Value.Check(schema, answer)) return answer
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw badAnswer(worker, path)
}
