import type { CompleteData, FinalRunStatus, TaskFailure } from '@tributary/protocol'
import type { RunRecord } from './run-record.ts'

/** What the work of a run came to. The run's state follows from it, unless the run was told to stop. */
export interface RunOutcome {
  readonly totalTasks: number
  readonly successCount: number
  readonly errorCount: number
  /** As many as there is room for; the counts are whole. */
  readonly errors: readonly TaskFailure[]
}

/** How a run ended: what its terminal event says, and its record from then on. */
export interface RunEnd {
  readonly data: CompleteData
  readonly record: RunRecord
}

/** @param status default: by the counts. */
export function runEnd(
  runId: string,
  record: RunRecord,
  { errors, totalTasks, successCount, errorCount }: RunOutcome,
  {
    at,
    status = statusOf({ successCount, errorCount }),
  }: { at: number; status?: FinalRunStatus | undefined },
): RunEnd {
  const counts = { totalTasks, successCount, errorCount }
  const data: CompleteData = {
    runId,
    status,
    ...counts,
    errors: [...errors],
    durationMs: Math.max(0, at - record.startedAt),
    ...(errors.length < errorCount ? { truncated: true } : {}),
  }
  return { data, record: { ...record, ...counts, ended: { at, status } } }
}

function statusOf({
  successCount,
  errorCount,
}: Pick<RunOutcome, 'successCount' | 'errorCount'>): FinalRunStatus {
  if (errorCount === 0) return 'succeeded'
  return successCount > 0 ? 'partial' : 'failed'
}
