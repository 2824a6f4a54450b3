import type {
  AuthExpiringData,
  ConnectionData,
  DisconnectedData,
  GapData,
  HeartbeatData,
  RunEvents,
  SourceUnavailableData,
} from '@tributary/protocol'
import type { EventCollector } from './event-collector.ts'

/** What each event carries, on the streams where a failed task goes by the name of `error`. */
export interface EventData extends Omit<RunEvents, 'error'> {
  connection: ConnectionData & { runId: string }
  gap: GapData
  heartbeat: HeartbeatData
  disconnected: DisconnectedData
  auth_expiring: AuthExpiringData
  source_unavailable: SourceUnavailableData
  error: RunEvents['task_error']
}

/** The data of the first event of a type, once it has come, typed by the protocol; the test's own asserts check it. */
export async function dataOf<T extends keyof EventData>(
  events: EventCollector,
  type: T,
): Promise<EventData[T]> {
  const { data } = await events.waitFor(type)
  return data as EventData[T]
}

/** The same of all events of a type that have come. */
export function allDataOf<T extends keyof EventData>(events: EventCollector, type: T): EventData[T][] {
  return events.ofType(type).map(({ data }) => data as EventData[T])
}
