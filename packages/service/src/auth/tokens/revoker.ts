import type { Cluster } from '@tributary/cluster'
import type { RevocationTarget, RevocationView } from '@tributary/protocol'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { RevocationStore } from './revocation-store.ts'
import type { Revocations } from './revocations.ts'

/** What a node is asked for: to read what is revoked. */
const READ = 'revocations.read'

const closedCheck = Compile(Type.Object({ closed: Type.Integer({ minimum: 0 }) }))

export interface RevokerOptions {
  readonly revocations: Revocations
  readonly store: RevocationStore
  readonly cluster: Pick<Cluster, 'nodeId' | 'handle' | 'askAll' | 'onRejoined'>
  /** Ends the streams of this node that are open with what is revoked. Answers how many there were. */
  readonly endRevoked: () => number
}

/** What became of a revocation. */
export interface Revoked {
  readonly revocation: RevocationView
  /** Streams that were ended for it, at all nodes. */
  readonly closed: number
  /** Nodes that hold to it now, this one too. */
  readonly acknowledged: readonly string[]
  /** Nodes that could not be told. Those that live read it themselves. */
  readonly unreachable: readonly string[]
}

/**
 * Revokes at all nodes. It holds here at once, and is stored; then the others are told to read it. Who was not told
 * reads it at the next interval: what is stored decides.
 */
export class Revoker {
  readonly #options: RevokerOptions
  #ended = 0

  constructor(options: RevokerOptions) {
    this.#options = options
    const { store, cluster } = options
    store.onChanged(() => this.#end())
    // What was said while this node was away, it has not heard.
    cluster.onRejoined(() => store.refresh())
    cluster.handle(READ, async () => {
      const before = this.#ended
      await store.refresh()
      this.#end()
      return { closed: this.#ended - before }
    })
  }

  /** @throws as `Revocations.add`. It holds at this node all the same, unless there are too many. */
  async revoke(target: RevocationTarget): Promise<Revoked> {
    const { revocations } = this.#options
    const adding = revocations.add(target)
    // Not before it holds, and not only once it is stored.
    const here = this.#end()
    const revocation = await adding
    const { closed, ...nodes } = await this.#tell()
    return { revocation, closed: here + closed, ...nodes }
  }

  /** Takes one back, at all nodes. Answers whether it was there. @throws as `Revocations.lift` */
  async lift(target: RevocationTarget): Promise<boolean> {
    const isLifted = await this.#options.revocations.lift(target)
    if (isLifted) await this.#tell()
    return isLifted
  }

  async #tell(): Promise<Omit<Revoked, 'revocation'>> {
    const answers = await this.#options.cluster.askAll(READ, {})
    let closed = 0
    const [acknowledged, unreachable]: [string[], string[]] = [[], []]
    for (const answer of answers) {
      const isDone = answer.ok && closedCheck.Check(answer.result)
      if (isDone) closed += answer.result.closed
      ;(isDone ? acknowledged : unreachable).push(answer.nodeId)
    }
    return { closed, acknowledged, unreachable }
  }

  #end(): number {
    const ended = this.#options.endRevoked()
    this.#ended += ended
    return ended
  }
}
