import { FinalRunStatus, RunKind, type RunView } from '@tributary/protocol'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'

/** What a reader who leaves means to a run: nothing, or its end once nobody is left. */
export const OnDisconnect = Type.Enum(['continue', 'cancel'])
export type OnDisconnect = Static<typeof OnDisconnect>

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
  /** Counted up by each executor that takes the run over. */
  epoch: Type.Integer(),
  once: Type.Optional(Type.Object({ key: Type.String(), fingerprint: Type.String() })),
  /** There once it has ended. */
  ended: Type.Optional(Type.Object({ at: Type.Number(), status: FinalRunStatus })),
})
export type RunRecord = Static<typeof RunRecord>

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
  { kind, startedAt, totalTasks, successCount, errorCount, ended }: RunRecord,
  status: RunView['status'],
  lastEventId: string | undefined,
): RunView {
  return {
    runId,
    kind,
    status,
    startedAt,
    ...(ended === undefined ? {} : { endedAt: ended.at }),
    totalTasks,
    successCount,
    errorCount,
    ...(lastEventId === undefined ? {} : { lastEventId }),
  }
}
