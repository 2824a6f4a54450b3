import { MemoryEventStore } from '@tributary/eventlog/memory'
import { Hub } from '@tributary/hub'

const process = globalThis as typeof globalThis & { hub?: Promise<Hub> }

/** The one hub of this process. Next.js may load a module several times over, so a variable of it would not do. */
export function getHub(): Promise<Hub> {
  process.hub ??= Hub.open({ store: new MemoryEventStore() })
  return process.hub
}
