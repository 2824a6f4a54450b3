export { Run, type RunOptions, type RunOutcome } from './run.ts'
export { RunAbort } from './run-error.ts'
export {
  DEFAULT_RUN_MAX_AGE_MS,
  DEFAULT_RUN_MAX_COUNT,
  DEFAULT_RUN_MAX_EVENTS,
  RunRegistry,
  type RunRegistryOptions,
  type RunWork,
  type StartOptions,
} from './run-registry.ts'
export { type BoardTask, TaskBoard, type TaskBoardOptions, type TaskProgress } from './task-board.ts'
