import { appendContract } from './append-contract.ts'
import type { OpenStore } from './log-fixture.ts'
import { resumeContract } from './resume-contract.ts'
import { retentionContract } from './retention-contract.ts'
import { storeContract } from './store-contract.ts'
import { tailContract } from './tail-contract.ts'

/** The suite that every adapter of the EventStore port passes. */
export function eventStoreContract(name: string, openStore: OpenStore): void {
  appendContract(name, openStore)
  resumeContract(name, openStore)
  tailContract(name, openStore)
  retentionContract(name, openStore)
  storeContract(name, openStore)
}
