import { Cluster } from '../cluster/cluster.ts'
import { Turns } from '../cluster/turns.ts'
import type { RoundWorld } from './chaos-round.ts'
import { ENV, HISTORY_MAX_EVENTS, type History, USERS } from './chaos-settings.ts'
import {
  type ClusterFaultKind,
  type ClusterTargets,
  LOSSLESS_FAULTS,
  mayLose,
  planClusterFaults,
  takesNodes,
} from './cluster-fault.ts'
import { CuttingProxy } from './cutting-proxy.ts'
import { ExternalApi } from './external-api.ts'
import type { HubReader } from './hub-reader.ts'
import { openLateReader, openReaders } from './hub-readers.ts'
import type { PlannedFault } from './planned-fault.ts'
import type { SeededRandom } from './seeded-random.ts'

/** How long a node is silent before others take over: short, as a round is. */
const NODE_LEASE_MS = 2_000

export interface ClusterWorldOptions {
  readonly kinds: readonly [ClusterFaultKind, ...ClusterFaultKind[]]
  /** Changes what readers are sent: for a test of the check. */
  readonly plant?: (bytes: Buffer) => Buffer
}

interface Parts {
  readonly api: ExternalApi
  readonly cluster: Cluster
  readonly readersProxy: CuttingProxy
  readonly publishersProxy: CuttingProxy
}

/** Two gateways, two workers, Redis with Sentinels and nginx as processes, and those who read from the hub. */
export class ClusterWorld implements AsyncDisposable, ClusterTargets, RoundWorld {
  readonly cancelEndsCalls = false
  readonly faults: string[] = []
  readonly turns: ClusterTargets['turns']
  readonly #parts: Parts
  readonly #kinds: ClusterWorldOptions['kinds']
  readonly #history: { now: History }
  #owned = new AsyncDisposableStack()
  #readers: readonly HubReader[] = []
  /** Those before this round. */
  #failovers = 0

  /** @param folder where the nodes' data and their logs go. */
  static async start(
    folder: string,
    random: SeededRandom,
    { kinds, plant }: ClusterWorldOptions,
  ): Promise<ClusterWorld> {
    await using owned = new AsyncDisposableStack()
    const faults: string[] = []
    const history: { now: History } = { now: 'long' }
    const api = owned.use(await ExternalApi.start())
    const cluster = owned.use(
      await Cluster.start({
        sentinel: true,
        nginx: true,
        folder,
        env: { ...ENV, NODE_LEASE_MS: String(NODE_LEASE_MS) },
        gatewayEnv: () => ({
          RELAY_ALLOWED_ORIGINS: api.url,
          HISTORY_MAX_EVENTS: HISTORY_MAX_EVENTS[history.now],
        }),
        onFailure: (fault) => faults.push(fault),
      }),
    )
    const port = Number(new URL(cluster.url).port)
    const readersProxy = owned.use(
      await CuttingProxy.start(port, plant === undefined ? {} : { rewrite: plant }),
    )
    const publishersProxy = owned.use(await CuttingProxy.start(port))
    const parts = { api, cluster, readersProxy, publishersProxy }
    const world = new ClusterWorld(parts, kinds, faults, history)
    world.#readers = openReaders({ url: readersProxy.url, random, onFault: world.addFault })
    world.#owned = owned.move()
    return world
  }

  private constructor(
    parts: Parts,
    kinds: ClusterWorldOptions['kinds'],
    faults: string[],
    history: { now: History },
  ) {
    this.#parts = parts
    this.#kinds = kinds
    this.faults = faults
    this.#history = history
    this.turns = { redis: new Turns(this.addFault), nginx: new Turns(this.addFault) }
  }

  get api(): ExternalApi {
    return this.#parts.api
  }

  get cluster(): Cluster {
    return this.#parts.cluster
  }

  get readersProxy(): CuttingProxy {
    return this.#parts.readersProxy
  }

  get publishersProxy(): CuttingProxy {
    return this.#parts.publishersProxy
  }

  get readers(): readonly HubReader[] {
    return this.#readers
  }

  get readersUrl(): string {
    return this.readersProxy.url
  }

  get publishersUrl(): string {
    return this.publishersProxy.url
  }

  /** Any serves any run. */
  workerUrl(random: SeededRandom): string {
    const urls = this.cluster.workers.map(({ url }) => url)
    const [first = '', ...others] = urls
    return random.pick([first, ...others])
  }

  /** One of each user, so that all that anybody reads is read. */
  openLateReaders(since: string, random: SeededRandom): readonly HubReader[] {
    return USERS.map((_, index) =>
      openLateReader(index, since, { url: this.readersUrl, random, onFault: this.addFault }),
    )
  }

  /** Has the gateways keep another history from here on, for which they are deployed anew. */
  async keepHistory(history: History): Promise<void> {
    if (history === this.#history.now) return
    this.#history.now = history
    for (const { service } of this.cluster.gateways) await service.deploy()
  }

  /** What a log that keeps little has lost cannot be told from what it has trimmed. */
  planFaults(random: SeededRandom, loadMs: number, history: History): readonly PlannedFault[] {
    return planClusterFaults(random, history === 'short' ? LOSSLESS_FAULTS : this.#kinds, loadMs, this)
  }

  /** Also where the Sentinels took a master for dead that had no time to answer them. */
  async mayLose(faults: readonly PlannedFault[]): Promise<boolean> {
    const before = this.#failovers
    this.#failovers = await this.cluster.redis.failovers()
    return mayLose(faults) || this.#failovers > before
  }

  takesNodes(faults: readonly PlannedFault[]): boolean {
    return takesNodes(faults)
  }

  async settled(): Promise<void> {
    await Promise.all([
      ...this.cluster.nodes.map(({ service }) => service.settled()),
      this.turns.redis.settled(),
      this.turns.nginx.settled(),
    ])
    await this.cluster.redis.settled().catch((error: unknown) => this.addFault(String(error)))
  }

  readonly addFault = (fault: string): void => {
    this.faults.push(fault)
  }

  takeFaults(): string[] {
    return this.faults.splice(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Who reads goes first, so that nobody takes the end for a fault.
    await Promise.all(this.#readers.map((reader) => reader[Symbol.asyncDispose]()))
    for (const turns of Object.values(this.turns)) turns.close()
    await this.#owned.disposeAsync()
  }
}
