import { emitWarning } from 'node:process'
import type { Connection } from './connection.ts'

/**
 * Runs what callers gave a connection to be called back by: never amid a fan-out, for a callback may publish
 * or close, and one that throws is no trouble of the others.
 */
export class Callbacks {
  readonly #onError: (error: unknown, connection: Connection) => void

  /** @param onError default: a warning of the process. */
  constructor(onError: (error: unknown, connection: Connection) => void = warn) {
    this.#onError = onError
  }

  /** Calls back soon, in the order of the calls. */
  run(connection: Connection, callback: () => unknown): void {
    void this.#run(connection, callback)
  }

  async #run(connection: Connection, callback: () => unknown): Promise<void> {
    await undefined
    try {
      await callback()
    } catch (error) {
      this.#report(error, connection)
    }
  }

  #report(error: unknown, connection: Connection): void {
    try {
      this.#onError(error, connection)
    } catch (further) {
      warn(further, connection)
    }
  }
}

function warn(error: unknown, { connectionId }: Connection): void {
  emitWarning(error instanceof Error ? (error.stack ?? error.message) : String(error), {
    type: 'HubCallbackWarning',
    detail: `A callback of the connection ${JSON.stringify(connectionId)} failed`,
  })
}
