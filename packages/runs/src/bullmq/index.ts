export {
  BullRunQueue,
  type BullRunQueueOptions,
  DEFAULT_RUN_LOCK_MS,
  DEFAULT_RUNS_CONCURRENCY,
} from './bull-run-queue.ts'
