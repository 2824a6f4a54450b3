import { ProblemError, type RunListQuery, type RunView } from '@tributary/protocol'

/** Runs in an answer that asks for no other number. */
const DEFAULT_LIMIT = 100

/** The newest first; of those that began together, in the order of their ids. */
function byStart(a: RunView, b: RunView): number {
  return b.startedAt - a.startedAt || (a.runId < b.runId ? 1 : -1)
}

/** A page of runs, and where the next begins. */
export interface RunPage {
  readonly runs: RunView[]
  readonly next?: string
}

/** Takes the page that was asked for. @param all in any order. @throws ProblemError where `after` is no cursor. */
export function pageOfRuns(all: Iterable<RunView>, query: RunListQuery): RunPage {
  const { status, kind, limit = DEFAULT_LIMIT, after } = query
  const isAfter = after === undefined ? () => true : afterCursor(after)
  const wanted = [...all]
    .filter(
      (run) => (status === undefined || run.status === status) && (kind === undefined || run.kind === kind),
    )
    .filter(isAfter)
    .sort(byStart)
  const runs = wanted.slice(0, limit)
  const last = runs.at(-1)
  return wanted.length > runs.length && last !== undefined ? { runs, next: cursorOf(last) } : { runs }
}

function cursorOf({ startedAt, runId }: RunView): string {
  return `${startedAt}.${runId}`
}

const CURSOR = /^(\d{1,16})\.([A-Za-z0-9_-]{1,64})$/

function afterCursor(text: string): (run: RunView) => boolean {
  const [, ms, runId = ''] = CURSOR.exec(text) ?? []
  if (ms === undefined) {
    throw new ProblemError('invalid_cursor', '"after" must be the "next" of an earlier answer', {
      errors: [{ path: 'query/after', message: 'must be the "next" of an earlier answer' }],
    })
  }
  const startedAt = Number(ms)
  return (run) => run.startedAt < startedAt || (run.startedAt === startedAt && run.runId < runId)
}
