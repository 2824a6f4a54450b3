import { systemClock } from '@tributary/protocol'
import { LocalRunQueue } from '../src/local-run-queue.ts'
import { runQueueContract } from './run-queue-contract.ts'

runQueueContract('LocalRunQueue', async () => ({
  open: async () => new LocalRunQueue(systemClock),
  [Symbol.asyncDispose]: async () => undefined,
}))
