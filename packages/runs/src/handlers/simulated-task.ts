import type { Clock } from '@tributary/protocol'
import Type from 'typebox'
import { defineTask, type TaskDefinition } from './define-task.ts'

/** How many steps a simulated task takes, and how long each. */
export const SIMULATED_STEPS = 4
export const SIMULATED_STEP_MS = 250

/** Stands in, during development only, for a handler that nobody registered. */
export function simulatedTask(name: string, clock: Clock): TaskDefinition {
  return defineTask({
    name,
    input: Type.Unknown(),
    idempotent: true,
    totalSteps: SIMULATED_STEPS,
    async run({ progress, signal }) {
      for (let step = 1; step <= SIMULATED_STEPS; step++) {
        await delay(clock, SIMULATED_STEP_MS, signal)
        progress({ step, message: `Simulated step ${step} of ${SIMULATED_STEPS}` })
      }
      return { simulated: true, name }
    },
  })
}

function delay(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const cancel = clock.after(delayMs, () => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
    function onAbort() {
      cancel()
      reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
