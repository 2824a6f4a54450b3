import { type Clock, ProblemError } from '@tributary/protocol'

/** How soon it is tried again where the store is away, in ms. */
const RETRY_MS = 250

/** How a store is waited for. */
export interface StoreWait {
  readonly clock: Clock
  /** Resolves when there is no use in waiting any more. */
  readonly end: Promise<void>
}

/** Asks a store until it answers, once it is back where it is away. @throws as `ask`, that it is away only past the end */
export async function askPatiently<T>(ask: () => Promise<T>, { clock, end }: StoreWait): Promise<T> {
  let hasEnded = false
  const ended = end.then(() => {
    hasEnded = true
  })
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      const isAway = error instanceof ProblemError && error.code === 'store_unavailable'
      if (!isAway || hasEnded) throw error
      await pause(clock, ended)
      if (hasEnded) throw error
    }
  }
}

/** Resolves when the store is to be tried again, or at the end. */
export async function pause(clock: Clock, end: Promise<void>): Promise<void> {
  const again = Promise.withResolvers<void>()
  const cancel = clock.after(RETRY_MS, again.resolve)
  await Promise.race([again.promise, end])
  cancel()
}
