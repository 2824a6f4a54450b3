import { join } from 'node:path'
import { lastingPort } from '@tributary/testkit'
import { RestartedService } from '../cluster/restarted-service.ts'
import { startGateway, startWorker } from '../processes.ts'
import type { RoundWorld } from './chaos-round.ts'
import { ENV, HISTORY_MAX_EVENTS, type History } from './chaos-settings.ts'
import { CuttingProxy } from './cutting-proxy.ts'
import { ExternalApi } from './external-api.ts'
import { type FaultKind, type FaultTargets, planFaults } from './fault.ts'
import type { HubReader } from './hub-reader.ts'
import { openLateReader, openReaders } from './hub-readers.ts'
import type { PlannedFault } from './planned-fault.ts'
import type { SeededRandom } from './seeded-random.ts'

/** A gateway and a worker as processes, those who read from the hub, and all that is between them. */
export class ChaosWorld implements AsyncDisposable, FaultTargets, RoundWorld {
  readonly #parts = new AsyncDisposableStack()
  readonly faults: string[] = []
  readonly api: ExternalApi
  readonly readersProxy: CuttingProxy
  readonly publishersProxy: CuttingProxy
  readonly workerProxy: CuttingProxy
  readonly gateway: RestartedService
  readonly worker: RestartedService
  readonly cancelEndsCalls = true
  readonly #workerUrl: string
  readonly #kinds: readonly [FaultKind, ...FaultKind[]]
  #readers: readonly HubReader[] = []
  #history: History = 'long'

  /** @param folder where the services' data and their logs go. */
  static async start(
    folder: string,
    random: SeededRandom,
    kinds: readonly [FaultKind, ...FaultKind[]],
  ): Promise<ChaosWorld> {
    const gatewayPort = await lastingPort(() => random.next())
    const workerPort = await lastingPort(() => random.next())
    const parts = {
      gatewayPort,
      workerPort,
      api: await ExternalApi.start(),
      readersProxy: await CuttingProxy.start(gatewayPort),
      publishersProxy: await CuttingProxy.start(gatewayPort),
      workerProxy: await CuttingProxy.start(workerPort),
    }
    const world = new ChaosWorld(folder, parts, kinds)
    try {
      await Promise.all([world.gateway.start(), world.worker.start()])
      if (world.faults.length > 0) throw new Error(world.faults.join('\n'))
      world.#readers = openReaders({ url: world.readersUrl, random, onFault: world.addFault })
    } catch (error) {
      await world[Symbol.asyncDispose]()
      throw error
    }
    return world
  }

  private constructor(
    folder: string,
    parts: Pick<ChaosWorld, 'api' | 'readersProxy' | 'publishersProxy' | 'workerProxy'> & {
      readonly gatewayPort: number
      readonly workerPort: number
    },
    kinds: readonly [FaultKind, ...FaultKind[]],
  ) {
    this.#kinds = kinds
    const { api, readersProxy, publishersProxy, workerProxy, gatewayPort, workerPort } = parts
    this.api = this.#parts.use(api)
    this.readersProxy = this.#parts.use(readersProxy)
    this.publishersProxy = this.#parts.use(publishersProxy)
    this.workerProxy = this.#parts.use(workerProxy)
    this.#workerUrl = `http://127.0.0.1:${workerPort}`
    const service = (
      name: 'gateway' | 'worker',
      start: ConstructorParameters<typeof RestartedService>[0]['start'],
    ) =>
      this.#parts.use(
        new RestartedService({
          name,
          folder: join(folder, name),
          logFolder: join(folder, 'logs'),
          start,
          onFailure: this.addFault,
        }),
      )
    this.worker = service('worker', (cwd) => startWorker({ cwd, port: workerPort, env: ENV }))
    this.gateway = service('gateway', (cwd) =>
      startGateway({
        cwd,
        port: gatewayPort,
        workers: [workerProxy],
        env: {
          ...ENV,
          RELAY_ALLOWED_ORIGINS: api.url,
          HISTORY_MAX_EVENTS: HISTORY_MAX_EVENTS[this.#history],
        },
      }),
    )
  }

  get readersUrl(): string {
    return this.readersProxy.url
  }

  get publishersUrl(): string {
    return this.publishersProxy.url
  }

  workerUrl(): string {
    return this.#workerUrl
  }

  openLateReaders(since: string, random: SeededRandom): readonly HubReader[] {
    return [openLateReader(0, since, { url: this.readersUrl, random, onFault: this.addFault })]
  }

  planFaults(random: SeededRandom, loadMs: number): readonly PlannedFault[] {
    return planFaults(random, this.#kinds, loadMs, this)
  }

  /** A file that is written before anything is acknowledged. */
  async mayLose(): Promise<boolean> {
    return false
  }

  takesNodes(): boolean {
    return false
  }

  async settled(): Promise<void> {
    await Promise.all([this.gateway.settled(), this.worker.settled()])
  }

  get readers(): readonly HubReader[] {
    return this.#readers
  }

  /** Has the gateway keep another history from here on, for which it is deployed anew. */
  async keepHistory(history: History): Promise<void> {
    if (history === this.#history) return
    this.#history = history
    await this.gateway.deploy()
  }

  readonly addFault = (fault: string): void => {
    this.faults.push(fault)
  }

  /** The faults noted since the last time. */
  takeFaults(): string[] {
    return this.faults.splice(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Who reads goes first, so that nobody takes the end for a fault.
    await Promise.all(this.#readers.map((reader) => reader[Symbol.asyncDispose]()))
    await this.#parts.disposeAsync()
  }
}
