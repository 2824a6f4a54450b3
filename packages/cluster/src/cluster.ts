/** What a node is: one process of ours. */
export type NodeService = 'gateway' | 'worker'

/** A node, as it last said of itself. Times are by the clock that all share, in ms since 1970. */
export interface ClusterNode {
  /** Random, of this start of the process: after a restart it is another node. */
  readonly nodeId: string
  readonly service: NodeService
  /** How other nodes and clients reach it. Not there until it listens: until then nothing is to be sent to it. */
  readonly url?: string
  readonly startedAt: number
  readonly seenAt: number
  /** What it announced. It comes from outside: who reads a part of it checks that part. */
  readonly info: Readonly<Record<string, unknown>>
}

/** What became of a request at one node. */
export type ClusterAnswer =
  | { readonly nodeId: string; readonly ok: true; readonly result: unknown }
  | {
      readonly nodeId: string
      readonly ok: false
      /** `unreachable`: no answer in time, so it may or may not have been done. `failed`: the node says that it was not. */
      readonly reason: 'unreachable' | 'failed'
      readonly message: string
    }

/** How long an answer is waited for, in ms. */
export const DEFAULT_ASK_TIMEOUT_MS = 3_000

/** What is said of a node that is not there. */
export const NO_SUCH_NODE = 'there is no such node; it may have ended'

export interface AskOptions {
  /** How long an answer is waited for, in ms. A node that gets the request later than that drops it. Default 3,000. */
  readonly timeoutMs?: number
}

export interface AskAllOptions extends AskOptions {
  /** Asks only the nodes of this service. Default: all. */
  readonly service?: NodeService
}

/**
 * Does what another node asks, and answers what goes back to it. `payload` comes from outside: check it by a schema.
 * The same request can come twice, as where an asker tries again. What it throws is the asker's `failed`.
 */
export type ControlHandler = (payload: unknown, from: string) => Promise<unknown>

/**
 * The nodes that serve together: who is there, what one asks of the others, and who is gone. A node is there while its
 * lease holds, which it renews by heartbeat.
 *
 * Adapters: `LocalCluster` (this process alone) and `RedisCluster`.
 */
export interface Cluster extends AsyncDisposable {
  /** This node. */
  readonly nodeId: string

  /** Those whose lease holds, this one included, the oldest first. @throws ProblemError `store_unavailable` */
  nodes(service?: NodeService): Promise<readonly ClusterNode[]>

  /** The nodes as they were last read, for when they cannot be: at most a heartbeat old while they can. */
  readonly known: readonly ClusterNode[]

  /** Says where this node is reached, once it listens: from then on others send to it. Told at once. */
  listensAt(url: string): void

  /**
   * Sets keys of what this node tells of itself, as its load; `undefined` takes a key away, the others stay. It goes
   * with the next heartbeat, so it can be called as often as it changes. @throws RangeError beyond 16 KB in all.
   */
  announce(info: Readonly<Record<string, unknown>>): void

  /** Answers requests of this kind from now on, until what it answers is called. @throws where the kind has a handler. */
  handle(kind: string, handler: ControlHandler): () => void

  /** Asks one node, which may be this one. Never rejects for what is wrong at the other. @throws RangeError beyond 64 KB. */
  ask(nodeId: string, kind: string, payload: unknown, options?: AskOptions): Promise<ClusterAnswer>

  /**
   * Asks all nodes at once, this one included: an answer for each that was there. A node that is just joining gets the
   * request too. While the others cannot be asked it is done here, and each that was last there is `unreachable`.
   */
  askAll(kind: string, payload: unknown, options?: AskAllOptions): Promise<readonly ClusterAnswer[]>

  /**
   * Tells of a node whose lease ended, or that left. Of each service exactly one living node that listens is told; if
   * that one dies or throws before its listeners resolved, then another, or the same again. So a listener can be called
   * twice for a node. A node that comes back is there again only when those who were told of it are done.
   */
  onNodeGone(listener: (node: ClusterNode) => Promise<void>): () => void

  /**
   * Tells that this node was away for the others (frozen, cut off, or what all share was lost) and is there again. What
   * it had registered may be gone, and what was said meanwhile was missed: register and read it again.
   */
  onRejoined(listener: () => Promise<void>): () => void

  /** Leaves: the others need not wait for the lease to end. Idempotent. */
  [Symbol.asyncDispose](): Promise<void>
}
