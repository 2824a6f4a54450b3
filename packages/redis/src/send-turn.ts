import { Cluster } from 'ioredis'
import type { RedisClient } from './connection-options.ts'

/**
 * One turn of the event loop: what is sent to a server within it goes out at its end in one write. So the server does
 * it as one, and what that publishes comes to each subscriber together.
 */
export class SendTurn {
  readonly #client: RedisClient
  #begun = false

  constructor(client: RedisClient) {
    this.#client = client
  }

  /** Holds back what is sent from here on, until the end of this turn. */
  begin(): void {
    if (this.#begun) return
    this.#begun = true
    const servers = this.#client instanceof Cluster ? this.#client.nodes('master') : [this.#client]
    // Those that have been connected: of the others nothing is sent now.
    const streams = servers.flatMap(({ stream }) => stream ?? [])
    for (const stream of streams) stream.cork()
    setImmediate(() => {
      this.#begun = false
      for (const stream of streams) stream.uncork()
    })
  }
}
