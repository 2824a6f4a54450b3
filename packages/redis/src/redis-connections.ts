import { type Clock, systemClock } from '@tributary/protocol'
import { Cluster } from 'ioredis'
import { Availability, type RedisStatus } from './availability.ts'
import { BlockingConnections } from './blocking-connections.ts'
import {
  backoffMs,
  type ConnectionSettings,
  connectCommands,
  connectSubscriber,
  type RedisClient,
} from './connection-options.ts'
import { connectFirst } from './first-connection.ts'
import { Pulse } from './pulse.ts'
import { RedisUnavailableError, toRedisError } from './redis-error.ts'
import { counted, NO_REDIS_METER, type RedisMeter } from './redis-meter.ts'
import type { RedisNotice } from './redis-notice.ts'
import type { RedisScript } from './redis-script.ts'
import { namesIn, parseRedisUrl } from './redis-target.ts'
import { SendTurn } from './send-turn.ts'
import { connectorTo } from './sentinel/master-connector.ts'
import { Sentinels } from './sentinel/sentinels.ts'
import { ClusterRoutes, singleRoutes } from './subscriptions/subscriber-routes.ts'
import { Subscriptions } from './subscriptions/subscriptions.ts'

const DEFAULT_TIMEOUT_MS = 5_000
const DEFAULT_PREFIX = 'tributary'

export interface RedisConnectionsInit {
  /** As `REDIS_URL`, see `parseRedisUrl`. */
  readonly url: string
  /** The certificate authorities of the servers' certificates, as PEM. Default: those of Node. */
  readonly ca?: string
  /** `REDIS_PREFIX`: what our keys and channels begin with. Default: `tributary`. */
  readonly prefix?: string
  /** What the server's CLIENT LIST calls the connections. Default: `tributary`. */
  readonly name?: string
  /** How long a connect or an answer may take, in milliseconds. Default: 5,000. */
  readonly timeoutMs?: number
  /** What is to be logged: Redis is waited for, came back, or should be set up otherwise. */
  readonly onNotice?: (notice: RedisNotice) => void
  /** Default: nothing is counted. */
  readonly meter?: RedisMeter
  /** Ends the waiting for a Redis that is not there. */
  readonly signal?: AbortSignal
  /** Default: the machine's. */
  readonly clock?: Clock
  /** Spreads reconnects. Default: `Math.random`. */
  readonly random?: () => number
}

export interface CallOptions {
  /**
   * Doing it twice does no harm: it is tried again, with growing waits, until the timeout is over. Default: it is
   * sent once, and fails at once where there is no connection.
   */
  readonly again?: boolean
}

/** All connections of a process to Redis: one for commands, one that subscribes (of a Cluster one per master), and those that wait. */
export class RedisConnections implements AsyncDisposable {
  /** What the names of all keys and channels of this Redis begin with: channels have no databases. */
  readonly prefix: string
  /** What a script publishes by: sharded where the server can. Decided when first connected. */
  readonly publishCommand: 'SPUBLISH' | 'PUBLISH'
  readonly subscriptions: Subscriptions
  readonly #client: RedisClient
  readonly #settings: ConnectionSettings
  readonly #clock: Clock
  readonly #availability: Availability
  readonly #pulse: Pulse
  readonly #meter: RedisMeter
  readonly #turn: SendTurn
  readonly #defined = new Set<RedisScript<unknown>['name']>()
  readonly #blocking: BlockingConnections
  #closed: Promise<void> | undefined
  #cuts = 0
  #backMs = Number.NEGATIVE_INFINITY
  readonly #sentinels: Sentinels | undefined

  private constructor(init: {
    client: RedisClient
    settings: ConnectionSettings
    sentinels: Sentinels | undefined
    prefix: string
    clock: Clock
    isSharded: boolean
    meter: RedisMeter
    onNotice: (notice: RedisNotice) => void
  }) {
    const { client, settings, sentinels, prefix, clock, isSharded, meter, onNotice } = init
    this.prefix = prefix
    this.#client = client
    this.#turn = new SendTurn(client)
    this.#settings = settings
    this.#clock = clock
    this.#meter = meter
    this.#blocking = new BlockingConnections(settings, meter)
    this.publishCommand = isSharded ? 'SPUBLISH' : 'PUBLISH'
    this.#availability = new Availability(() => clock.now(), 'not yet connected')
    this.#pulse = new Pulse({ client, clock, availability: this.#availability })
    this.onUp(() => {
      this.#backMs = clock.elapsed()
    })
    const cut = () => {
      this.#cuts += 1
    }
    client.on('close', cut)
    // Of a Cluster only the connection to one server.
    client.on('-node', cut)
    this.#availability.onUp(() => onNotice({ level: 'info', message: 'Redis is back', fields: {} }))
    this.#availability.onDown((reason) =>
      onNotice({ level: 'warn', message: 'Redis is away', fields: { reason } }),
    )
    this.#availability.onRefusal((reason) =>
      onNotice(
        reason === undefined
          ? { level: 'info', message: 'Redis takes writes again', fields: {} }
          : { level: 'warn', message: 'Redis refuses writes', fields: { reason } },
      ),
    )
    this.subscriptions = new Subscriptions({
      isSharded,
      routes: client instanceof Cluster ? new ClusterRoutes(client) : singleRoutes,
      connect: (address) => {
        const named = { ...settings, name: `${settings.name}-subscriber` }
        return counted(connectSubscriber(named, address), 'subscriber', meter)
      },
      clock,
      onFault: (reason) =>
        onNotice({ level: 'warn', message: 'a subscriber of Redis has a fault', fields: { reason } }),
    })
    this.#sentinels = sentinels
  }

  /**
   * Connects, and looks whether the server can be used. A Redis that is not there is waited for, and told of.
   *
   * @throws Error where waiting does not help: a login that is refused, a user who may not, a server that is too old;
   *   and the signal's reason.
   */
  static async open(init: RedisConnectionsInit): Promise<RedisConnections> {
    const { clock = systemClock, random = Math.random, onNotice = () => undefined } = init
    const { meter = NO_REDIS_METER } = init
    const target = parseRedisUrl(init.url)
    const direct: ConnectionSettings = {
      target,
      name: init.name ?? DEFAULT_PREFIX,
      timeoutMs: init.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      random,
      ...(init.ca === undefined ? {} : { ca: init.ca }),
    }
    const sentinels =
      target.kind === 'sentinel' ? new Sentinels({ settings: direct, target, clock }) : undefined
    const settings =
      sentinels === undefined ? direct : { ...direct, connector: connectorTo(sentinels, direct, clock) }
    const prefix = namesIn(target, init.prefix ?? DEFAULT_PREFIX)
    const client = counted(connectCommands(settings), 'commands', meter)
    try {
      const { isSharded } = await connectFirst({
        client,
        settings,
        prefix,
        clock,
        onNotice,
        signal: init.signal,
      })
      return new RedisConnections({ client, settings, sentinels, prefix, clock, isSharded, meter, onNotice })
    } catch (error) {
      client.disconnect()
      sentinels?.close()
      throw error
    }
  }

  /** Whether commands can be sent. Whoever sends one decides by its answer: this is for health, and for when to try again. */
  get status(): RedisStatus {
    return this.#availability.status
  }

  /** How often a connection for commands has ended: what is asked since then another server may answer. */
  get cuts(): number {
    return this.#cuts
  }

  /** For how long it has been back, in ms; `Infinity` where it was never away. Told before who listens to `onUp` is. */
  get backForMs(): number {
    return this.#clock.elapsed() - this.#backMs
  }

  /** Each time that Redis is back, and that it takes writes again. */
  onUp(listener: () => void): () => void {
    const end = this.#availability.onUp(listener)
    const endToo = this.#availability.onRefusal((reason) => reason === undefined && listener())
    return () => {
      end()
      endToo()
    }
  }

  /** Each time that it goes away. */
  onDown(listener: (reason: string) => void): () => void {
    return this.#availability.onDown(listener)
  }

  /**
   * Sends commands.
   *
   * @throws RedisUnavailableError where Redis cannot do it now, RedisReplyError where it answers with another error.
   */
  async call<T>(work: (redis: RedisClient) => Promise<T>, options: CallOptions = {}): Promise<T> {
    const deadline = this.#clock.elapsed() + this.#settings.timeoutMs
    for (let attempt = 1; ; attempt += 1) {
      const sentMs = this.#clock.elapsed()
      try {
        this.#turn.begin()
        const answer = await work(this.#client)
        this.#meter.answered(this.#clock.elapsed() - sentMs)
        return answer
      } catch (cause) {
        const { status } = this
        const error = toRedisError(cause, status.state === 'down' ? status.reason : undefined)
        const waitMs = backoffMs(attempt, this.#settings.random)
        const isOver = this.#clock.elapsed() + waitMs > deadline
        if (!(error instanceof RedisUnavailableError) || !options.again || isOver) throw error
        await this.#upOrAfter(waitMs)
      }
    }
  }

  /**
   * Runs a script. All its keys must be in one slot of a Cluster.
   *
   * @throws as `call`, and RedisReplyError where the answer is not as the script's schema says.
   */
  async run<T>(
    script: RedisScript<T>,
    keys: readonly string[],
    args: readonly (string | number)[],
    options?: CallOptions,
  ): Promise<T> {
    // A name of its own, lest it be one of a command of Redis.
    const method = `tributary:${script.name}`
    if (!this.#defined.has(method)) {
      this.#client.defineCommand(method, { lua: script.lua })
      this.#defined.add(method)
    }
    const answer = await this.call(
      async (redis) => Reflect.apply(Reflect.get(redis, method), redis, [keys.length, ...keys, ...args]),
      options,
    )
    return script.parse(answer)
  }

  /** A connection whose commands may wait at the server, as BullMQ wants it. It is closed with these. */
  createBlocking(name: string): RedisClient {
    return this.#blocking.create(name)
  }

  /** Idempotent. What is under way fails. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#pulse.end()
    this.subscriptions.close()
    // Once: a Cluster client that has ended tells no end again.
    const ended = Promise.all([this.#client, ...this.#blocking.all].map(disconnected))
    // Who asks them just now ends with that.
    this.#sentinels?.close()
    await ended
  }

  /** Until it is back, or the time is over. */
  async #upOrAfter(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#clock.after(ms, resolve)
    const end = this.onUp(resolve)
    await promise
    cancel()
    end()
  }
}

async function disconnected(client: RedisClient): Promise<void> {
  // An error on the way is of no interest any more.
  const ended = new Promise((resolve) => client.once('end', resolve))
  if (client.status === 'end') return
  client.disconnect()
  await ended
}
