import type { ClusterNode } from '../cluster.ts'

type GoneListener = (node: ClusterNode) => Promise<void>

/** Nodes that are being told of here at a time. More wait in Redis, for any node. */
const MAX_CLAIMS = 16

export interface GoneClaimsOptions {
  /** Says that all who listen here know of it. */
  readonly settle: (nodeId: string) => Promise<void>
  readonly onError: (error: unknown) => void
}

/** The nodes that are gone and that this node is being told of. While one is here, no other node is told of it. */
export class GoneClaims {
  readonly #options: GoneClaimsOptions
  readonly #listeners = new Set<GoneListener>()
  readonly #held = new Set<string>()

  constructor(options: GoneClaimsOptions) {
    this.#options = options
  }

  /** The ids of those that are being told. */
  get held(): readonly string[] {
    return [...this.#held]
  }

  /** How many more it takes. None where nobody listens: they are for a node that does. */
  get room(): number {
    return this.#listeners.size === 0 ? 0 : MAX_CLAIMS - this.#held.size
  }

  listen(listener: GoneListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Another node has it by now. What was begun here goes on, and is not settled. */
  drop(nodeId: string): void {
    this.#held.delete(nodeId)
  }

  /** Tells of it. One that could not be told is no longer held, so that it comes again, here or elsewhere. */
  take(node: ClusterNode): void {
    this.#held.add(node.nodeId)
    void this.#tell(node).finally(() => this.#held.delete(node.nodeId))
  }

  async #tell(node: ClusterNode): Promise<void> {
    const told = await Promise.allSettled([...this.#listeners].map(async (listener) => listener(node)))
    const faults = told.filter((result) => result.status === 'rejected')
    for (const { reason } of faults) this.#options.onError(reason)
    if (faults.length > 0 || !this.#held.has(node.nodeId)) return
    try {
      await this.#options.settle(node.nodeId)
    } catch (error) {
      this.#options.onError(error)
    }
  }
}
