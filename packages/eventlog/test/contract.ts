import { appendContract } from './append-contract.ts'
import { attributesContract } from './attributes-contract.ts'
import { ephemeralContract } from './ephemeral-contract.ts'
import type { NewPlace } from './log-fixture.ts'
import { onceContract } from './once-contract.ts'
import { restartContract } from './restart-contract.ts'
import { resumeContract } from './resume-contract.ts'
import { retentionContract } from './retention-contract.ts'
import { storeContract } from './store-contract.ts'
import { tailContract } from './tail-contract.ts'

/** The suite that every adapter of the EventStore port passes. */
export function eventStoreContract(name: string, newPlace: NewPlace): void {
  appendContract(name, newPlace)
  onceContract(name, newPlace)
  attributesContract(name, newPlace)
  resumeContract(name, newPlace)
  tailContract(name, newPlace)
  ephemeralContract(name, newPlace)
  retentionContract(name, newPlace)
  storeContract(name, newPlace)
}

/** The same, and what one does that keeps its logs when its process ends. */
export function durableStoreContract(name: string, newPlace: NewPlace): void {
  eventStoreContract(name, newPlace)
  restartContract(name, newPlace)
}
