import { MemoryEventStore } from '@tributary/eventlog/memory'
import { systemClock } from '@tributary/protocol'
import { LocalRunIndex } from '../src/local-run-index.ts'
import { runIndexContract } from './run-index-contract.ts'

runIndexContract('LocalRunIndex', async () => {
  const store = new MemoryEventStore()
  const index = await LocalRunIndex.open({
    store,
    clock: systemClock,
    onError: (error) => {
      throw error
    },
  })
  return {
    open: async () => index,
    now: () => systemClock.now(),
    [Symbol.asyncDispose]: () => store.close(),
  }
})
