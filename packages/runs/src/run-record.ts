import { FinalRunStatus, OnDisconnect, RunKind, type RunView } from '@tributary/protocol'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'

/** What is stored of a run beside its events: enough to tell of it, and to go on with it after a restart. */
export const RunRecord = Type.Object({
  kind: RunKind,
  userId: Type.String(),
  startedAt: Type.Number(),
  totalTasks: Type.Integer(),
  successCount: Type.Integer(),
  errorCount: Type.Integer(),
  deadlineMs: Type.Optional(Type.Number()),
  onDisconnect: Type.Optional(OnDisconnect),
  /** Counted up by each executor that takes the run over; 0 while it waits for its first. */
  epoch: Type.Integer(),
  once: Type.Optional(Type.Object({ key: Type.String(), fingerprint: Type.String() })),
  /** The run of the same key that came to nothing, and as which was prepared what this one goes on with. */
  preparedAs: Type.Optional(Type.String()),
  /** There once it has ended. */
  ended: Type.Optional(Type.Object({ at: Type.Number(), status: FinalRunStatus })),
})
export type RunRecord = Static<typeof RunRecord>

/** A run that is asked for. */
export interface NewRun {
  readonly kind: RunKind
  readonly userId: string
  readonly totalTasks: number
  /** Milliseconds until the run expires. Default: never. */
  readonly deadlineMs?: number | undefined
  /** Default `continue`: only a cancel cancels. */
  readonly onDisconnect?: OnDisconnect | undefined
}

/** The record of a run that begins now. */
export function newRecord(
  { kind, userId, totalTasks, deadlineMs, onDisconnect }: NewRun,
  startedAt: number,
  once: RunRecord['once'],
  { epoch = 1, preparedAs }: { readonly epoch?: number; readonly preparedAs?: string | undefined } = {},
): RunRecord {
  return {
    kind,
    userId,
    startedAt,
    totalTasks,
    successCount: 0,
    errorCount: 0,
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    ...(onDisconnect === undefined ? {} : { onDisconnect }),
    epoch,
    ...(once === undefined ? {} : { once }),
    ...(preparedAs === undefined ? {} : { preparedAs }),
  }
}

const record = Compile(RunRecord)

/** Reads a stored record; `undefined` where it is none, as one of a later version. */
export function parseRunRecord(text: string | undefined): RunRecord | undefined {
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return record.Check(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** A record as it is told. */
export function viewOfRecord(
  runId: string,
  { kind, userId, startedAt, totalTasks, successCount, errorCount, ended }: RunRecord,
  status: RunView['status'],
  lastEventId: string | undefined,
): RunView {
  return {
    runId,
    kind,
    userId,
    status,
    startedAt,
    ...(ended === undefined ? {} : { endedAt: ended.at }),
    totalTasks,
    successCount,
    errorCount,
    ...(lastEventId === undefined ? {} : { lastEventId }),
  }
}

/** When a run ended; when it began, where that was not stored. */
export function endOf({ ended, startedAt }: RunRecord): number {
  return ended?.at ?? startedAt
}
