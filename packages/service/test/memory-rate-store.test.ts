import { FakeClock } from '@tributary/testkit'
import { memoryRateStore } from '../src/limits/memory-rate-store.ts'
import { rateStoreContract } from './rate-store-contract.ts'

rateStoreContract(async () => {
  const clock = new FakeClock()
  return { Store: memoryRateStore({ clock }), pass: async (_key, ms) => clock.advance(ms) }
})
