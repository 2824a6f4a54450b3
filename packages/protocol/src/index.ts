export {
  ALL_TOPIC,
  type Audience,
  type AudienceMember,
  audienceIncludes,
  audienceTopics,
  connectionOfTopic,
  connectionTopic,
  groupTopic,
  includesAllUnderTopics,
  memberTopics,
  presenceTopic,
  roleTopic,
  sessionTopic,
  sharedTopics,
  type Topic,
  userTopic,
  Where,
} from './audience.ts'
export {
  ConnectionTokenAnswer,
  ConnectionTokenRequest,
  DEFAULT_REVOCATION_LIMIT,
  RevocationAnswer,
  RevocationList,
  RevocationListQuery,
  RevocationTarget,
  RevocationView,
  StreamTokenAnswer,
} from './auth.ts'
export { type Clock, systemClock } from './clock.ts'
export { CONNECTION_STATES, ConnectionState, ConnectionStates } from './connection-state.ts'
export {
  CloseAnswer,
  CloseQuery,
  ConnectionList,
  ConnectionListQuery,
  ConnectionView,
  DEFAULT_CONNECTION_LIMIT,
  GroupStatus,
  type HubCounts,
  HubStatus,
  SubscriptionAnswer,
  SubscriptionChange,
  UserStatus,
  unreachableOf,
} from './connection-view.ts'
export {
  CONSISTENCY_FAULTS,
  type ConsistencyFault,
  type ConsistencyFaultKind,
  ConsistencyReport,
} from './consistency.ts'
export {
  AuthExpiringData,
  CLOSED_MARK,
  CONTROL_EVENTS,
  ConnectionData,
  type ControlEvent,
  DisconnectedData,
  DisconnectReason,
  GapData,
  GapReason,
  HeartbeatData,
  isControlEvent,
  NEVER_RETRY_MS,
  RECONNECTS,
  SourceUnavailableData,
} from './control-event.ts'
export {
  ERROR_CATEGORIES,
  ERROR_CODES,
  type ErrorCategory,
  type ErrorCode,
  type ErrorRule,
  type Fault,
  faultOf,
  isTaskErrorCode,
  RECOVERIES,
  type Recovery,
  TASK_ERROR_CODES,
  type TaskErrorCode,
  type TaskErrorRule,
} from './error-code.ts'
export {
  ConflateKey,
  EVENT_VERSION,
  type Event,
  EventEnvelope,
  EventType,
  Metadata,
  type NewEvent,
  Priority,
} from './event.ts'
export {
  type Cursor,
  comparePositions,
  type EventIdParts,
  formatEventId,
  isBehind,
  isRunId,
  newRunId,
  type Position,
  PositionSequence,
  parseCursor,
  parseEventId,
} from './event-id.ts'
export {
  ComponentHealth,
  GatewayHealth,
  GatewayHealthQuery,
  GatewayMetrics,
  HealthAction,
  HealthActionAnswer,
  HealthAnswer,
  NodeShare,
  ProbeResult,
  ReadyAnswer,
  ResetAnswer,
  UpstreamView,
} from './health.ts'
export { EXPOSED_HEADERS, isHeaderName, isHeaderValue } from './http-header.ts'
export { DEFAULT_MONITOR_LIMIT, MonitorAnswer, MonitorQuery } from './monitor.ts'
export { NAME_CHARACTERS, Name, requireWholeText, TokenId } from './name.ts'
export { NodeDrainAnswer, NodeList, NodeParams, NodeState, NodeView } from './node.ts'
export { formatOrigin, type Origin, parseOrigin } from './origin.ts'
export {
  DEFAULT_POLL_LIMIT,
  MAX_POLL_LIMIT,
  MAX_POLL_WAIT_MS,
  PollAnswer,
  PollQuery,
  pollQuery,
} from './polling.ts'
export {
  DEFAULT_PRESENCE_LIMIT,
  GroupPresence,
  isPresenceEvent,
  PRESENCE_EVENTS,
  PresenceChange,
  type PresenceEvent,
  PresenceMember,
  PresenceQuery,
  UserPresence,
} from './presence.ts'
export { PROBLEM_CONTENT_TYPE, Problem, ProblemError, type ProblemOptions } from './problem.ts'
export {
  CancelAnswer,
  CompleteData,
  FinalRunStatus,
  RunAccepted,
  RunKind,
  RunList,
  RunListQuery,
  RunParams,
  RunStatus,
  RunView,
} from './run.ts'
export {
  COMPLETE,
  EMITTER_NAMES,
  type Naming,
  type RunEvents,
  type RunEventType,
  standardName,
  type TruncatedResult,
  wireName,
} from './run-event.ts'
export {
  DEFAULT_MAX_RESULT_BYTES,
  HybridRequest,
  MAX_MERGE_SOURCES,
  MergeRequest,
  MergeSource,
  OnDisconnect,
  ParallelTasksRequest,
  RelayRequest,
} from './run-request.ts'
export {
  FilteredSend,
  IdempotencyHeaders,
  MAX_AUDIENCE_NAMES,
  ManagedSend,
  Publish,
  SendAnswer,
  TestEvent,
} from './send.ts'
export {
  DEFAULT_MAX_EVENT_CHARS,
  EventTooLongError,
  SseDecoder,
  type SseDecoderOptions,
  type WireEvent,
} from './sse-decoder.ts'
export { encodeFrame, FrameError, type FrameFields, singleLine } from './sse-encoder.ts'
export {
  ManagedPollQuery,
  ManagedStreamQuery,
  RunEventsQuery,
  StreamFormat,
  StreamQuery,
  streamQuery,
} from './stream-query.ts'
export type { StreamTotals } from './stream-totals.ts'
export {
  HTTP_METHODS,
  type HttpMethod,
  HttpTask,
  MAX_TASK_RETRIES,
  MAX_TASK_TIMEOUT_MS,
  MIN_TASK_TIMEOUT_MS,
  NamedTask,
  TaskErrorCodeSchema,
  TaskFailure,
  TaskId,
  TaskResult,
  TaskSpec,
} from './task.ts'
export { isSecretRef, SECRET_NAME, type SecretRef, sensitiveHeaders, TaskHeader } from './task-header.ts'
export { WorkerInfo, WorkerLoad } from './worker-info.ts'
