import { setTimeout as delay } from 'node:timers/promises'

/** After which what does not go on has failed. */
export const LIMIT_MS = 60_000
const POLL_MS = 5

/** Resolves once it holds; a question that fails is one that does not. @throws Error after `LIMIT_MS`. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + LIMIT_MS
  while (!(await Promise.resolve(holds()).catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`nothing goes on after ${LIMIT_MS / 1_000} s`)
    await delay(POLL_MS)
  }
}
