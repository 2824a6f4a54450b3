import type { CuttingProxy } from './cutting-proxy.ts'
import { type PlannedFault, planned } from './planned-fault.ts'
import type { SeededRandom } from './seeded-random.ts'

/** What faults are done to. */
export interface FaultTargets {
  readonly gateway: FaultyService
  readonly worker: FaultyService
  /** Readers to gateway; publishers and starts to gateway; gateway to worker. */
  readonly readersProxy: CuttingProxy
  readonly publishersProxy: CuttingProxy
  readonly workerProxy: CuttingProxy
  readonly api: { cutStreams(): number }
}

interface FaultyService {
  crash(downMs: number): Promise<void>
  deploy(): Promise<void>
  pause(ms: number): Promise<void>
}

/** What can be done, and for how long it takes, in ms. */
const KINDS = {
  'kill-gateway': [0, 800, ({ gateway }, ms) => gateway.crash(ms)],
  'kill-worker': [0, 800, ({ worker }, ms) => worker.crash(ms)],
  'kill-both': [0, 500, ({ gateway, worker }, ms) => all([gateway.crash(ms), worker.crash(0)])],
  'stop-gateway': [500, 2_000, ({ gateway }, ms) => gateway.pause(ms)],
  'stop-worker': [500, 2_000, ({ worker }, ms) => worker.pause(ms)],
  'deploy-gateway': [0, 0, ({ gateway }) => gateway.deploy()],
  'deploy-worker': [0, 0, ({ worker }) => worker.deploy()],
  'cut-readers': [0, 0, async ({ readersProxy }) => void readersProxy.cut()],
  'refuse-readers': [200, 1_000, ({ readersProxy }, ms) => readersProxy.refuse(ms)],
  'stall-readers': [200, 2_000, ({ readersProxy }, ms) => readersProxy.stall(ms)],
  'cut-publishers': [0, 0, async ({ publishersProxy }) => void publishersProxy.cut()],
  'refuse-worker': [200, 1_000, ({ workerProxy }, ms) => workerProxy.refuse(ms)],
  'stall-worker': [200, 2_000, ({ workerProxy }, ms) => workerProxy.stall(ms)],
  'cut-sources': [0, 0, async ({ api }) => void api.cutStreams()],
} satisfies Record<string, readonly [number, number, (targets: FaultTargets, ms: number) => Promise<void>]>

export type FaultKind = keyof typeof KINDS

export function isFaultKind(name: string): name is FaultKind {
  return Object.hasOwn(KINDS, name)
}

/** Kills come most often: they are what most is at stake with. */
export const ALL_FAULTS: readonly [FaultKind, ...FaultKind[]] = [
  'kill-gateway',
  'kill-gateway',
  'kill-gateway',
  'kill-worker',
  'kill-worker',
  'kill-worker',
  'kill-both',
  'stop-gateway',
  'stop-worker',
  'deploy-gateway',
  'deploy-worker',
  'cut-readers',
  'refuse-readers',
  'stall-readers',
  'cut-publishers',
  'refuse-worker',
  'stall-worker',
  'cut-sources',
]

/** One to three faults at moments of a time of load. */
export function planFaults(
  random: SeededRandom,
  kinds: readonly [FaultKind, ...FaultKind[]],
  loadMs: number,
  targets: FaultTargets,
): PlannedFault[] {
  return planned(random, kinds, loadMs, (kind) => {
    const [minMs, maxMs, act] = KINDS[kind]
    const lastsMs = random.int(minMs, maxMs)
    return { name: kind, lastsMs, act: () => act(targets, lastsMs).then(() => undefined) }
  })
}

async function all(acts: readonly Promise<void>[]): Promise<void> {
  await Promise.all(acts)
}
