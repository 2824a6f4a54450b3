import type { Clock } from '@tributary/protocol'
import { Redis } from 'ioredis'
import { backoffMs, type ConnectionSettings, tlsOf } from '../connection-options.ts'
import { reasonOf } from '../redis-error.ts'
import type { RedisAddress, RedisTarget } from '../redis-target.ts'
import { type NamedMaster, namedMaster, UNKNOWN_MASTER } from './named-master.ts'

const SWITCHED = '+switch-master'
/** How long the others may take once one has answered: it may be the last to hear of a failover. */
const OTHERS_MS = 100
/** How long none may know of the last failover until that is taken to be undone, as where all were set up anew. They tell each other in 2 s. */
const UNDONE_MS = 10_000
/** How soon they are asked again until then. */
const AGAIN_MS = 1_000

export interface SentinelsInit {
  readonly settings: ConnectionSettings
  readonly target: RedisTarget & { readonly kind: 'sentinel' }
  readonly clock: Pick<Clock, 'after' | 'elapsed'>
}

/**
 * The Sentinels of a process, and the master as the one has it that knows of the last failover.
 *
 * A client of ioredis asks by itself, whichever answers first. So while a failover is being told, one goes to the new
 * master, the next to the old, and one that had left the old comes back to it. Here all go by what is known here, which
 * goes forward only; and all leave a master at once that is known to be one no more. Else one that is cut off or frozen is
 * used until a timeout, and what it still takes is lost.
 */
export class Sentinels {
  readonly #init: SentinelsInit
  readonly #watchers: readonly Redis[]
  readonly #movedListeners = new Set<() => void>()
  #known: NamedMaster | undefined
  #asking: Promise<RedisAddress> | undefined
  // Since when nobody knows of it any more.
  #staleSinceMs: number | undefined
  #cancelAgain: (() => void) | undefined
  readonly #closed = Promise.withResolvers<never>()

  constructor(init: SentinelsInit) {
    this.#init = init
    this.#closed.promise.catch(() => undefined)
    this.#watchers = init.target.sentinels.map((address) => this.#watch(address))
  }

  /** Asks all of them. @throws Error that says why none names a master. */
  master(): Promise<RedisAddress> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  /** Whether it is the master, for all that is known. */
  isMaster({ host, port }: RedisAddress): boolean {
    const { address } = this.#known ?? {}
    return address === undefined || (address.host === host && address.port === port)
  }

  /** Told each time that the master is another. */
  onMoved(listener: () => void): () => void {
    this.#movedListeners.add(listener)
    return () => this.#movedListeners.delete(listener)
  }

  close(): void {
    this.#cancelAgain?.()
    this.#closed.reject(new Error('Connection is closed.'))
    for (const watcher of this.#watchers) watcher.disconnect()
  }

  async #ask(): Promise<RedisAddress> {
    const { target } = this.#init
    const faults: string[] = []
    const named: NamedMaster[] = []
    const all = target.sentinels.map(async (address) => {
      try {
        named.push(await this.#askOne(address))
      } catch (error) {
        faults.push(error instanceof Error ? reasonOf(error) : String(error))
      }
    })
    await this.#enough(all, named)
    const best = named.reduce<NamedMaster | undefined>(
      (one, other) => (one === undefined || other.epoch > one.epoch ? other : one),
      undefined,
    )
    if (best !== undefined) return this.#take(best)
    const why = faults.includes(UNKNOWN_MASTER) ? UNKNOWN_MASTER : `no Sentinel names a master: ${faults[0]}`
    throw new Error(why)
  }

  /** Until all have answered or failed, or a moment after one has answered. */
  async #enough(all: readonly Promise<void>[], named: readonly NamedMaster[]): Promise<void> {
    const { clock } = this.#init
    const over = Promise.withResolvers<void>()
    let cancel: (() => void) | undefined
    for (const each of all)
      each.then(() => {
        if (named.length > 0) cancel ??= clock.after(OTHERS_MS, over.resolve)
      })
    try {
      await Promise.race([Promise.all(all), over.promise, this.#closed.promise])
    } finally {
      cancel?.()
    }
  }

  /** @throws Error where none of them knows of the last failover yet. */
  #take(named: NamedMaster): RedisAddress {
    const { clock } = this.#init
    if (this.#known !== undefined && named.epoch < this.#known.epoch) {
      this.#staleSinceMs ??= clock.elapsed()
      this.#cancelAgain?.()
      this.#cancelAgain = clock.after(AGAIN_MS, () => void this.#look())
      if (clock.elapsed() - this.#staleSinceMs < UNDONE_MS)
        throw new Error('the Sentinels that answer do not know of the last failover yet')
    }
    this.#staleSinceMs = undefined
    const isOther = !this.isMaster(named.address)
    this.#known = named
    if (isOther) for (const listener of [...this.#movedListeners]) listener()
    return named.address
  }

  async #askOne(address: RedisAddress): Promise<NamedMaster> {
    const { masterName } = this.#init.target
    const client = this.#connect(address, () => null)
    let fault: Error | undefined
    client.on('error', (error: Error) => {
      fault = error
    })
    try {
      // At once: in between it may learn of a failover.
      const answers = await client
        .pipeline()
        .call('SENTINEL', 'MASTER', masterName)
        .call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName)
        .exec()
      const [[error, state] = [], [, named] = []] = answers ?? []
      if (error?.message.includes('No such master')) throw new Error(UNKNOWN_MASTER)
      if (error) throw fault ?? error
      return namedMaster(state, named)
    } finally {
      client.disconnect()
    }
  }

  #watch(address: RedisAddress): Redis {
    const { settings } = this.#init
    const client = this.#connect(address, (attempt) => backoffMs(attempt, settings.random))
    // One Sentinel that is away is done without.
    client.on('error', () => undefined)
    client.on('ready', () =>
      client.subscribe(SWITCHED).then(
        () => this.#look(),
        () => undefined,
      ),
    )
    // `<master name> <old host> <old port> <new host> <new port>`: which failover that was, it does not say.
    client.on('message', () => void this.#look())
    return client
  }

  /** Finds out whether the master is another. */
  async #look(): Promise<void> {
    // Whoever is asked now may have answered before.
    await this.#asking?.catch(() => undefined)
    await this.master().catch(() => undefined)
  }

  #connect({ host, port }: RedisAddress, retryStrategy: (attempt: number) => number | null): Redis {
    const { settings, target } = this.#init
    const { user, password } = target.sentinelLogin
    return new Redis({
      host,
      port,
      ...(user === undefined ? {} : { username: user }),
      ...(password === undefined ? {} : { password }),
      ...tlsOf(settings),
      connectionName: `${settings.name}-sentinels`,
      connectTimeout: settings.timeoutMs,
      commandTimeout: settings.timeoutMs,
      maxRetriesPerRequest: 0,
      // A right less that their user needs.
      disableClientInfo: true,
      enableReadyCheck: false,
      autoResubscribe: false,
      retryStrategy,
    })
  }
}
