import type { RunEvents } from '@tributary/protocol'

/** What a handler says of how far it is. At least one of `progress` and `step` should be there. */
export interface ProgressReport {
  readonly step?: number
  readonly totalSteps?: number
  /** 0 to 100. Default: `step` of `totalSteps`, or what was said last. */
  readonly progress?: number
  readonly message?: string
}

/** A task's progress without its id, as a `task_progress` carries it. */
export type TaskProgress = Omit<RunEvents['task_progress'], 'taskId' | 'bytes'>

/** Completes a handler's reports: the percentage is always there, and between 0 and 100. */
export class ProgressReporter {
  readonly #totalSteps: number | undefined
  readonly #onProgress: (progress: TaskProgress) => void
  #last = 0

  constructor(totalSteps: number | undefined, onProgress: (progress: TaskProgress) => void) {
    this.#totalSteps = totalSteps
    this.#onProgress = onProgress
  }

  report({ step, totalSteps = this.#totalSteps, progress, message }: ProgressReport): void {
    this.#last = percent(progress ?? ratio(step, totalSteps)) ?? this.#last
    this.#onProgress({
      ...(isNumber(step) ? { step } : {}),
      ...(isNumber(totalSteps) ? { totalSteps } : {}),
      progress: this.#last,
      ...(message === undefined ? {} : { message }),
    })
  }
}

function isNumber(value: number | undefined): value is number {
  return Number.isFinite(value)
}

function ratio(step: number | undefined, totalSteps: number | undefined): number | undefined {
  return step === undefined || totalSteps === undefined ? undefined : (step / totalSteps) * 100
}

/** Two decimals are enough for people, and keep 1/3 short on the wire. */
function percent(value: number | undefined): number | undefined {
  if (!isNumber(value)) return undefined
  return Math.round(Math.min(100, Math.max(0, value)) * 100) / 100
}
