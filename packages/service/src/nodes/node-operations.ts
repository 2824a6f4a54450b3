import type { Cluster, ClusterAnswer, ClusterNode } from '@tributary/cluster'
import {
  NodeDrainAnswer,
  type NodeList,
  type NodeShare,
  NodeState,
  type NodeView,
  ProblemError,
} from '@tributary/protocol'
import { Compile } from 'typebox/compile'
import type { Drain } from '../drain.ts'
import type { ComponentsCheck } from '../health.ts'

const STATE = 'node:state'
const DRAIN = 'node:drain'
/** When to ask again for a node that did not answer, in seconds. */
const RETRY_AFTER_S = 5

const stateCheck = Compile(NodeState)
const drainCheck = Compile(NodeDrainAnswer)

export interface NodeOperationsOptions {
  readonly cluster: Cluster
  readonly drain: Drain
  /** How the parts of this node are. */
  readonly components: ComponentsCheck
  /** What it has to do now, by name. */
  readonly load: () => Readonly<Record<string, number>>
}

/** What is asked of nodes as such: how each is, and that one ends. Each node answers for itself. */
export class NodeOperations {
  readonly #options: NodeOperationsOptions

  constructor(options: NodeOperationsOptions) {
    this.#options = options
    const { cluster, drain } = options
    cluster.handle(STATE, async () => this.#state())
    cluster.handle(DRAIN, async () => {
      // Whoever asked is not to wait for it.
      void drain.begin()
      return this.#draining()
    })
  }

  /** All nodes, and how they are. Those that do not answer are told as such; while Redis is away, as they last were. */
  async list(): Promise<NodeList> {
    const { cluster } = this.#options
    const [nodes, answers] = await Promise.all([
      cluster.nodes().catch(() => cluster.known),
      cluster.askAll(STATE, {}),
    ])
    const byId = new Map(answers.map((answer) => [answer.nodeId, answer]))
    const views = nodes.map((node) => viewOf(node, byId.get(node.nodeId), cluster.nodeId))
    return {
      nodeId: cluster.nodeId,
      nodes: views,
      unreachable: views.filter(({ state }) => state === 'unreachable').map(({ nodeId }) => nodeId),
    }
  }

  /** What each gateway has of all connections. */
  async shares(): Promise<NodeShare[]> {
    const { nodes } = await this.list()
    return nodes
      .filter(({ service }) => service === 'gateway')
      .map((node) => {
        const { nodeId, url } = node
        const of = { nodeId, ...(url === undefined ? {} : { url }) }
        if (!('load' in node)) return { ...of, unreachable: true as const }
        const { connections = 0, streams = 0 } = node.load
        return { ...of, connections, streams }
      })
  }

  /**
   * Has a node end what it has open, then its process. Answers once it has begun.
   *
   * @throws ProblemError `node_not_found`; `node_unreachable` where it does not answer, and then it may have begun.
   */
  async drain(nodeId: string): Promise<NodeDrainAnswer> {
    const { cluster } = this.#options
    const answer = await cluster.ask(nodeId, DRAIN, {})
    if (answer.ok && drainCheck.Check(answer.result)) return answer.result
    const nodes = await cluster.nodes().catch(() => cluster.known)
    const name = JSON.stringify(nodeId)
    if (!nodes.some((node) => node.nodeId === nodeId)) {
      throw new ProblemError(
        'node_not_found',
        `There is no node ${name}; GET /api/cluster/nodes has those there are.`,
      )
    }
    const reason = answer.ok ? 'its answer is none of this version' : answer.message
    throw new ProblemError('node_unreachable', `The node ${name} could not be asked: ${reason}.`, {
      retryAfterS: RETRY_AFTER_S,
    })
  }

  #state(): NodeState {
    const { drain, components, load } = this.#options
    return { state: drain.state, components: { ...components() }, load: { ...load() } }
  }

  #draining(): NodeDrainAnswer {
    const { cluster, drain } = this.#options
    return { success: true, nodeId: cluster.nodeId, state: drain.state, limitMs: drain.limitMs }
  }
}

function viewOf(node: ClusterNode, answer: ClusterAnswer | undefined, selfId: string): NodeView {
  const fields = { ...node, info: { ...node.info }, isSelf: node.nodeId === selfId }
  if (answer === undefined) return { ...fields, state: 'unreachable', reason: 'it has only just come' }
  if (!answer.ok) {
    const state = answer.reason === 'failed' ? 'failed' : 'unreachable'
    return { ...fields, state, reason: answer.message }
  }
  if (stateCheck.Check(answer.result)) return { ...fields, ...answer.result }
  return { ...fields, state: 'failed', reason: 'its answer is none of this version' }
}
