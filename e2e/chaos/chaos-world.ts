import { join } from 'node:path'
import { lastingPort } from '@tributary/testkit'
import { RestartedService } from '../cluster/restarted-service.ts'
import { startGateway, startWorker } from '../processes.ts'
import { CuttingProxy } from './cutting-proxy.ts'
import { ExternalApi } from './external-api.ts'
import type { FaultTargets } from './fault.ts'
import { HUB_READER_KINDS, HubReader, type HubReaderKind } from './hub-reader.ts'
import type { SeededRandom } from './seeded-random.ts'

/** How often streams get a heartbeat here, in ms. */
export const HEARTBEAT_MS = 500

/** Small times, so that a round sees rotations and heartbeats; and history enough that a gap is due to nobody. */
const ENV = {
  STORE: 'sqlite',
  RETRY_MS: '100',
  HEARTBEAT_MS: String(HEARTBEAT_MS),
  STREAM_TIMEOUT_MS: '3000',
  DRAIN_MS: '2000',
  MAX_CONNECTIONS_PER_USER: '1000',
  AUTH_STATIC_TOKENS: 'admin-token=operator:admin;ann-token=ann;ben-token=ben;cem-token=cem',
  OUTBOUND_ALLOW: '127.0.0.1',
  HISTORY_MAX_AGE_MS: '86400000',
  UPSTREAM_GIVE_UP_MS: '60000',
}

/** Events that are kept of a topic: so many that nobody is due a gap, or so few that whoever is away for a second is. */
const HISTORY_MAX_EVENTS = { long: '1000000', short: '10' } as const
export type History = keyof typeof HISTORY_MAX_EVENTS

export const ADMIN_TOKEN = 'admin-token'
const USERS = ['ann', 'ben', 'cem'] as const
const GROUPS = ['red', 'green', 'blue'] as const
/** Whom is published for; a user and a group without readers are among them. */
export const TOPICS = [
  'all',
  'user:ann',
  'user:ben',
  'user:dan',
  'group:red',
  'group:green',
  'group:grey',
] as const

/** A gateway and a worker as processes, those who read from the hub, and all that is between them. */
export class ChaosWorld implements AsyncDisposable, FaultTargets {
  readonly #parts = new AsyncDisposableStack()
  readonly faults: string[] = []
  readonly api: ExternalApi
  readonly readersProxy: CuttingProxy
  readonly publishersProxy: CuttingProxy
  readonly workerProxy: CuttingProxy
  readonly gateway: RestartedService
  readonly worker: RestartedService
  readonly workerUrl: string
  #readers: readonly HubReader[] = []
  #history: History = 'long'

  /** @param folder where the services' data and their logs go. */
  static async start(folder: string, random: SeededRandom): Promise<ChaosWorld> {
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
    const world = new ChaosWorld(folder, parts)
    try {
      await Promise.all([world.gateway.start(), world.worker.start()])
      if (world.faults.length > 0) throw new Error(world.faults.join('\n'))
      world.#readers = world.#openReaders(random)
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
  ) {
    const { api, readersProxy, publishersProxy, workerProxy, gatewayPort, workerPort } = parts
    this.api = this.#parts.use(api)
    this.readersProxy = this.#parts.use(readersProxy)
    this.publishersProxy = this.#parts.use(publishersProxy)
    this.workerProxy = this.#parts.use(workerProxy)
    this.workerUrl = `http://127.0.0.1:${workerPort}`
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

  /** A reader that begins at a cursor: it gets what others got while it happened from what is stored. */
  openLateReader(since: string, random: SeededRandom): HubReader {
    return this.#openReader('stream', 0, random, { name: 'a late reader', since })
  }

  /** Of each kind one reader per user, each in some of the groups. */
  #openReaders(random: SeededRandom): HubReader[] {
    return HUB_READER_KINDS.flatMap((kind, row) =>
      USERS.map((_, index) => this.#openReader(kind, index, random.fork(row * USERS.length + index))),
    )
  }

  #openReader(
    kind: HubReaderKind,
    index: number,
    random: SeededRandom,
    given: { readonly name?: string; readonly since?: string } = {},
  ): HubReader {
    const user = USERS[index] ?? USERS[0]
    return new HubReader({
      name: `${user} by ${kind}`,
      kind,
      url: this.readersProxy.url,
      user,
      token: `${user}-token`,
      groups: GROUPS.slice(0, index + 1),
      heartbeatMs: HEARTBEAT_MS,
      random,
      onFault: this.addFault,
      ...given,
    })
  }
}
