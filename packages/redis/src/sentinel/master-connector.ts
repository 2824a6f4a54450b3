import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Clock } from '@tributary/protocol'
import { AbstractConnector, type RedisOptions } from 'ioredis'
import { backoffMs, type ConnectionSettings, DISCONNECT_LIMIT_MS, tlsOf } from '../connection-options.ts'
import type { RedisAddress } from '../redis-target.ts'
import type { Sentinels } from './sentinels.ts'

type NetStream = Awaited<ReturnType<AbstractConnector['connect']>>

/** How a client of ioredis comes to the master that these name, and leaves it when that is another. */
export function connectorTo(
  sentinels: Sentinels,
  settings: ConnectionSettings,
  clock: Pick<Clock, 'after'>,
): NonNullable<RedisOptions['Connector']> {
  return class MasterConnector extends AbstractConnector {
    #address: RedisAddress | undefined
    #attempts = 0

    constructor() {
      super(DISCONNECT_LIMIT_MS)
    }

    override async connect(emit: (type: string, error: Error) => void): Promise<NetStream> {
      this.connecting = true
      const { host, port } = await this.#find(emit)
      this.#address = { host, port }
      const tls = tlsOf(settings)
      const stream = 'tls' in tls ? connectTls({ host, port, ...tls.tls }) : connect({ host, port })
      stream.once('error', (error) => {
        this.firstError = error
      })
      // What is under way there is lost with it, or is sent again by who knows that it may be.
      stream.once(
        'close',
        sentinels.onMoved(() => stream.destroy()),
      )
      this.stream = stream
      return stream
    }

    /** @param info what the server says of itself. */
    override check(info: { role?: string }): boolean {
      const isStill = this.#address !== undefined && sentinels.isMaster(this.#address)
      return isStill && (info.role === undefined || info.role === 'master')
    }

    async #find(emit: (type: string, error: Error) => void): Promise<RedisAddress> {
      this.#attempts += 1
      const ours = this.#attempts
      for (let tries = 1; ; tries += 1) {
        const found = await sentinels.master().catch((error: Error) => error)
        if (!this.connecting || ours !== this.#attempts) throw new Error('Connection is closed.')
        if (!(found instanceof Error)) return found
        emit('error', found)
        await new Promise<void>((resolve) => clock.after(backoffMs(tries, settings.random), resolve))
      }
    }
  }
}
