import { Redis } from 'ioredis'
import {
  type ConnectionSettings,
  connectBlocking,
  endingAlways,
  type RedisClient,
} from './connection-options.ts'
import { counted, type RedisMeter } from './redis-meter.ts'

/** The connections of a process whose commands may wait at the server, with those that BullMQ makes of them. */
export class BlockingConnections {
  readonly #settings: ConnectionSettings
  readonly #meter: RedisMeter
  readonly #clients = new Set<RedisClient>()

  constructor(settings: ConnectionSettings, meter: RedisMeter) {
    this.#settings = settings
    this.#meter = meter
  }

  /** Those that have not ended. */
  get all(): ReadonlySet<RedisClient> {
    return this.#clients
  }

  /** @param name what the server's CLIENT LIST calls it, behind the name of all. */
  create(name: string): RedisClient {
    const client = connectBlocking({ ...this.#settings, name: `${this.#settings.name}-${name}` })
    // Told by what fails, and by the status.
    client.on('error', () => undefined)
    this.#keep(client)
    if (client instanceof Redis) {
      // BullMQ makes its blocking connection by this.
      const duplicate = client.duplicate.bind(client)
      client.duplicate = (...args) => {
        const another = endingAlways(duplicate(...args))
        this.#keep(another)
        return another
      }
    }
    return client
  }

  #keep(client: RedisClient): void {
    this.#clients.add(counted(client, 'blocking', this.#meter))
    client.once('end', () => this.#clients.delete(client))
  }
}
