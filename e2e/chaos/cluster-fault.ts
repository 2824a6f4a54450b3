import { setTimeout as delay } from 'node:timers/promises'
import type { Cluster } from '../cluster/cluster.ts'
import type { ClusterNode } from '../cluster/cluster-node.ts'
import type { CuttingProxy } from './cutting-proxy.ts'
import { type PlannedFault, planned } from './planned-fault.ts'
import * as redis from './redis-fault.ts'
import type { SeededRandom } from './seeded-random.ts'

/** What faults are done to. */
export interface ClusterTargets extends redis.RedisTargets {
  readonly cluster: Cluster
  /** Readers to nginx; publishers and starts to nginx. */
  readonly readersProxy: CuttingProxy
  readonly publishersProxy: CuttingProxy
  readonly api: { cutStreams(): number }
}

/** What is to be done, once it is decided to whom. */
interface Plan {
  /** Where there are several. */
  readonly whom?: string
  /** Does it, and says what was seen of it. */
  act(ms: number): Promise<string>
}

type Planner = (targets: ClusterTargets, random: SeededRandom) => Plan

/** How long it takes, from and to, in ms; and what is done. */
const KINDS = {
  'kill-gateway': [0, 1_500, ofNode('gateway', killNode)],
  'kill-worker': [0, 1_500, ofNode('worker', killNode)],
  // Beyond the lease, too: others have taken over when it goes on.
  'stop-gateway': [300, 4_000, ofNode('gateway', stopNode)],
  'stop-worker': [300, 4_000, ofNode('worker', stopNode)],
  'deploy-gateway': [0, 0, ofNode('gateway', deployNode)],
  'deploy-worker': [0, 0, ofNode('worker', deployNode)],
  'kill-nginx': [
    0,
    500,
    ({ cluster: { nginx }, turns }) => ({ act: (ms) => redis.killed(turns.nginx, nginx, ms) }),
  ],
  'stop-nginx': [
    200,
    1_500,
    ({ cluster: { nginx }, turns }) => ({
      act: (ms) => redis.stopped(turns.nginx, nginx, () => fetch(`${nginx?.url}/metrics`), ms),
    }),
  ],
  'cut-redis': [0, 0, ofAny(async ({ network }) => `${network.cut()} connections`)],
  'refuse-redis': [200, 4_000, ofAny(async ({ network }, ms) => `${await network.refuse(ms)} refused`)],
  'stall-redis': [200, 4_000, ofAny(({ network }, ms) => roundTrip(network, network.stall(ms)))],
  'slow-redis': [500, 2_000, ofAny(({ network }, ms) => roundTrip(network, network.slow(ms, SLOW_MS)))],
  'kill-master': [0, 1_000, (targets) => ({ act: (ms) => redis.killMaster(targets, ms) })],
  'restart-master': [0, 0, (targets) => ({ act: () => redis.restartMaster(targets) })],
  'stop-master': [200, 3_000, (targets) => ({ act: (ms) => redis.stopMaster(targets, ms) })],
  'sleep-master': [100, 400, (targets) => ({ act: (ms) => redis.sleepMaster(targets, ms) })],
  failover: [0, 0, (targets) => ({ act: () => redis.failOver(targets) })],
  'kill-replica': [0, 1_000, (targets) => ({ act: (ms) => redis.killReplica(targets, ms) })],
  'stop-replica': [200, 2_000, (targets) => ({ act: (ms) => redis.stopReplica(targets, ms) })],
  'kill-sentinel': [0, 1_000, ofSentinel(redis.killSentinel)],
  'stop-sentinel': [200, 2_000, ofSentinel(redis.stopSentinel)],
  'kill-normal-clients': [0, 0, (targets) => ({ act: () => redis.killClients(targets, 'normal') })],
  'kill-pubsub-clients': [0, 0, (targets) => ({ act: () => redis.killClients(targets, 'pubsub') })],
  'cut-readers': [0, 0, ({ readersProxy }) => ({ act: async () => `${readersProxy.cut()} connections` })],
  'stall-readers': [
    200,
    2_000,
    ({ readersProxy }) => ({ act: (ms) => readersProxy.stall(ms).then(() => 'stalled') }),
  ],
  'cut-publishers': [
    0,
    0,
    ({ publishersProxy }) => ({ act: async () => `${publishersProxy.cut()} connections` }),
  ],
  'cut-sources': [0, 0, ({ api }) => ({ act: async () => `${api.cutStreams()} streams` })],
} satisfies Record<string, readonly [number, number, Planner]>

export type ClusterFaultKind = keyof typeof KINDS
type Kinds = readonly [ClusterFaultKind, ...ClusterFaultKind[]]

/** After which the replica may be the master, and has not got all that the master had acknowledged. */
const LOSING: ReadonlySet<string> = new Set<ClusterFaultKind>([
  'kill-master',
  'restart-master',
  'stop-master',
  'sleep-master',
  'failover',
])

/** By which a node cannot store again what the new master has not. One that is deployed may have ended before. */
const TAKING_NODES: ReadonlySet<string> = new Set<ClusterFaultKind>([
  'deploy-gateway',
  'deploy-worker',
  'kill-gateway',
  'kill-worker',
  'stop-gateway',
  'stop-worker',
])

export function isClusterFaultKind(name: string): name is ClusterFaultKind {
  return Object.hasOwn(KINDS, name)
}

export function mayLose(faults: readonly PlannedFault[]): boolean {
  return faults.some(({ name }) => LOSING.has(name))
}

export function takesNodes(faults: readonly PlannedFault[]): boolean {
  return faults.some(({ name }) => TAKING_NODES.has(name))
}

/** Each once, and what is most at stake twice more. */
export const ALL_CLUSTER_FAULTS: Kinds = [
  'kill-gateway',
  'kill-gateway',
  'kill-worker',
  'kill-worker',
  ...kindsOf(() => true),
]

/** Without those by which the store may lose something. */
export const LOSSLESS_FAULTS: Kinds = ['kill-gateway', ...kindsOf((kind) => !LOSING.has(kind))]

function kindsOf(chosen: (kind: ClusterFaultKind) => boolean): ClusterFaultKind[] {
  return Object.keys(KINDS).filter(
    (kind): kind is ClusterFaultKind => isClusterFaultKind(kind) && chosen(kind),
  )
}

export function planClusterFaults(
  random: SeededRandom,
  kinds: Kinds,
  loadMs: number,
  targets: ClusterTargets,
): PlannedFault[] {
  return planned(random, kinds, loadMs, (kind) => planFault(kind, random, targets))
}

/** Decides whom it is done to, and for how long. */
export function planFault(
  kind: ClusterFaultKind,
  random: SeededRandom,
  targets: ClusterTargets,
): Omit<PlannedFault, 'atMs'> {
  const [minMs, maxMs, plan] = KINDS[kind]
  const { whom, act }: Plan = plan(targets, random)
  const lastsMs = random.int(minMs, maxMs)
  return {
    name: kind,
    lastsMs,
    act: async () => [whom, await act(lastsMs)].filter((part) => part !== undefined).join(': '),
  }
}

/** Of a piece of what is said between a node and a Redis that is slow. */
const SLOW_MS = 40

/** What Redis takes to answer while something lasts; a server that is away answers nobody. */
async function roundTrip(network: ClusterNode['network'], lasting: Promise<void>): Promise<string> {
  const answered = redis.answeredAfter(() => network.ping())
  await lasting
  return answered
}

type NodeAct = (node: ClusterNode, ms: number) => Promise<string>

function ofNode(kind: ClusterNode['kind'], act: NodeAct): Planner {
  return ({ cluster }, random) =>
    planOf(pick(kind === 'gateway' ? cluster.gateways : cluster.workers, random), act)
}

function ofAny(act: NodeAct): Planner {
  return ({ cluster }, random) => planOf(pick(cluster.nodes, random), act)
}

function planOf(node: ClusterNode, act: NodeAct): Plan {
  return { whom: node.name, act: (ms) => act(node, ms) }
}

function ofSentinel(act: (targets: ClusterTargets, index: number, ms: number) => Promise<string>): Planner {
  return (targets, random) => {
    const index = random.int(0, Math.max(0, targets.cluster.redis.sentinels.length - 1))
    return { whom: `sentinel ${index + 1}`, act: (ms) => act(targets, index, ms) }
  }
}

function pick<T>(choices: readonly T[], random: SeededRandom): T {
  const [first, ...others] = choices
  if (first === undefined) throw new Error('there is nothing to choose from')
  return random.pick([first, ...others])
}

async function killNode({ service }: ClusterNode, ms: number): Promise<string> {
  const before = service.pid
  await service.crash(ms)
  return `process ${before} is now ${service.pid}`
}

async function deployNode({ service }: ClusterNode): Promise<string> {
  const before = service.pid
  await service.deploy()
  return `process ${before} is now ${service.pid}`
}

async function stopNode({ service, url }: ClusterNode, ms: number): Promise<string> {
  const paused = service.pause(ms)
  // Asked while it stands still it answers when it goes on.
  await delay(Math.min(100, ms / 2))
  const beganAtMs = performance.now()
  await fetch(`${url}/healthz`).then(
    (answer) => answer.body?.cancel(),
    () => undefined,
  )
  const tookMs = Math.round(performance.now() - beganAtMs)
  await paused
  return `answered after ${tookMs} ms`
}
