import { MemoryEventStore } from '../src/memory/index.ts'
import { eventStoreContract } from './contract.ts'

eventStoreContract('memory', () => async (clock) => new MemoryEventStore({ clock }))
