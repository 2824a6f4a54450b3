import { setTimeout as delay } from 'node:timers/promises'

const LIMIT_MS = 20_000
const POLL_MS = 20

/** Asks until there is an answer; a question that fails is one without. */
export async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + LIMIT_MS
  let fault: unknown
  for (;;) {
    const answer = await ask().catch((error: unknown) => {
      fault = error
      return undefined
    })
    if (answer !== undefined) return answer
    if (performance.now() > deadline) throw new Error(`${what} does not come`, { cause: fault })
    await delay(POLL_MS)
  }
}
