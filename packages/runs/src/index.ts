export { cancelRun } from './cancel-run.ts'
export { DEFAULT_ABORT_GRACE_MS, type RunWork } from './execute-run.ts'
export {
  defineTask,
  type HandlerRequest,
  type HandlerRequester,
  type HandlerResponse,
  isTask,
  type TaskContext,
  type TaskDefinition,
  type TaskLog,
  type TaskOptions,
} from './handlers/define-task.ts'
export { HandlerLoadError, TaskError } from './handlers/handler-error.ts'
export { HandlerRegistry } from './handlers/handler-registry.ts'
export { HandlerRunner, type HandlerRunnerOptions } from './handlers/handler-runner.ts'
export { simulatedTask } from './handlers/simulated-task.ts'
export type { ThreadPoolOptions } from './handlers/thread-pool.ts'
export type { KnownRun } from './known-run.ts'
export {
  type NamedTaskOptions,
  type PlannedNamedTask,
  planNamedTask,
  plannedTimeoutMs,
  refuseTask,
  runNamedTask,
  type TaskPlace,
} from './named-task.ts'
export { type OnceKeyOptions, onceKey } from './once-key.ts'
export { Run } from './run.ts'
export type { SettleTasks } from './run-account.ts'
export type { Attributes } from './run-attributes.ts'
export type { RunOutcome } from './run-end.ts'
export { RunAbort, RunElsewhereError, RunSuspendedError, UnsureRunError } from './run-error.ts'
export type { RunIndex } from './run-index.ts'
export { pageOfRuns, type RunPage } from './run-list.ts'
export type { RunMeter } from './run-meter.ts'
export { type RunPast, readRunPast } from './run-past.ts'
export type { RunQueue } from './run-queue.ts'
export { RunRegistry } from './run-registry.ts'
export {
  DEFAULT_DISCONNECT_GRACE_MS,
  DEFAULT_RUN_MAX_AGE_MS,
  DEFAULT_RUN_MAX_COUNT,
  DEFAULT_RUN_MAX_EVENTS,
  DEFAULT_RUN_MAX_TAKEOVERS,
  type RebuildWork,
  type RunFleet,
  type RunRegistryOptions,
  type StartedOnce,
  type StartOptions,
} from './run-registry-options.ts'
export { TaskBoard, type TaskBoardOptions, type TaskProgress } from './task-board.ts'
export type { BoardTask } from './task-ledger.ts'
export { holdCredentials, withholdCredentials } from './withhold-credentials.ts'
