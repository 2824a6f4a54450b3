import { StoreUnavailableError } from '@tributary/eventlog'

/** What Redis answers about runs. @throws StoreUnavailableError where it does not */
export async function askRedis<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    throw new StoreUnavailableError('Redis cannot be asked about runs; try again in a moment', error)
  }
}
