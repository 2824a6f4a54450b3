import type { Worker } from './worker.ts'
import { checkWorker } from './worker-checks.ts'

/** What announced an address, and the worker that is made of that. */
export interface AnnouncedAddress {
  /** Of its process. */
  readonly nodeId: string
  readonly worker: Worker
}

/**
 * Whether workers are to be found where they say: one whose `NODE_URL` leads to another service would else get a share of
 * all runs, which nobody takes. Any living worker will do, as behind a balancer.
 */
export class ProvenAddresses {
  readonly #onStranger: (url: string) => void
  /** By process. */
  readonly #proven = new Map<string, string>()
  readonly #told = new Set<string>()

  /** @param onStranger called once for each address at which something else answers. */
  constructor(onStranger: (url: string) => void) {
    this.#onStranger = onStranger
  }

  /**
   * Those at which no other service answers. One at which nobody answers is among them, for it is passed over anyway, and
   * looked at again the next time.
   */
  async of<T extends AnnouncedAddress>(announced: readonly T[], living: ReadonlySet<string>): Promise<T[]> {
    for (const nodeId of this.#proven.keys()) if (!living.has(nodeId)) this.#proven.delete(nodeId)
    const good = await Promise.all(announced.map((each) => this.#isGood(each, living)))
    return announced.filter((_, index) => good[index])
  }

  async #isGood({ nodeId, worker }: AnnouncedAddress, living: ReadonlySet<string>): Promise<boolean> {
    if (this.#proven.get(nodeId) === worker.url || worker.avoided) return true
    const { nodeId: found, isStranger } = await checkWorker(worker)
    if (found !== undefined && living.has(found)) {
      this.#proven.set(nodeId, worker.url)
      return true
    }
    if (found === undefined && !isStranger) return true
    if (!this.#told.has(worker.url)) this.#onStranger(worker.url)
    this.#told.add(worker.url)
    return false
  }
}
