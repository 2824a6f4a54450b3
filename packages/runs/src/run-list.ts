import { ProblemError, type RunListQuery, type RunView } from '@tributary/protocol'

/** Runs in an answer that asks for no other number. */
export const DEFAULT_LIST_LIMIT = 100

/** Where a run stands among others. */
export interface RunStart {
  readonly startedAt: number
  readonly runId: string
}

/** The newest first; of those that began together, the higher id. */
export function byStart(a: RunStart, b: RunStart): number {
  if (a.startedAt !== b.startedAt) return b.startedAt - a.startedAt
  return a.runId === b.runId ? 0 : a.runId < b.runId ? 1 : -1
}

/** A page of runs, and where the next begins. */
export interface RunPage {
  readonly runs: RunView[]
  readonly next?: string
}

/** Whether a run is among those that were asked for, wherever the page begins. */
export function isWanted({ status, kind }: Pick<RunView, 'status' | 'kind'>, query: RunListQuery): boolean {
  return (query.status ?? status) === status && (query.kind ?? kind) === kind
}

/** Takes the page that was asked for. @param all in any order. @throws ProblemError where `after` is no cursor. */
export function pageOfRuns(all: Iterable<RunView>, query: RunListQuery): RunPage {
  const { limit = DEFAULT_LIST_LIMIT, after } = query
  const cursor = after === undefined ? undefined : parseListCursor(after)
  const wanted = [...all]
    .filter((run) => isWanted(run, query))
    .filter((run) => cursor === undefined || byStart(run, cursor) > 0)
    .sort(byStart)
  const runs = wanted.slice(0, limit)
  const last = runs.at(-1)
  return wanted.length > runs.length && last !== undefined ? { runs, next: cursorOf(last) } : { runs }
}

function cursorOf({ startedAt, runId }: RunStart): string {
  return `${startedAt}.${runId}`
}

const CURSOR = /^(\d{1,16})\.([A-Za-z0-9_-]{1,64})$/

/** @throws ProblemError where it is none. */
export function parseListCursor(text: string): RunStart {
  const [, ms, runId = ''] = CURSOR.exec(text) ?? []
  if (ms === undefined) {
    throw new ProblemError('invalid_cursor', '"after" must be the "next" of an earlier answer', {
      errors: [{ path: 'query/after', message: 'must be the "next" of an earlier answer' }],
    })
  }
  return { startedAt: Number(ms), runId }
}
