import type { Clock } from '@tributary/protocol'
import type { StoreHealth } from '../event-log.ts'
import type { Statements } from './statements.ts'
import { faultReason } from './store-fault.ts'
import type { WriteQueue } from './write-queue.ts'

/** How often it is tried whether the disk takes anything again. */
const PROBE_INTERVAL_MS = 5_000
/** What is tried with: a disk that takes as much takes some appends. */
const PROBE_BYTES = 65_536

export interface WriteHealthOptions {
  readonly clock: Clock
  readonly path: string
  readonly sql: Statements
}

/** Whether the last write was stored; where it was not, writes something now and then until it is. */
export class WriteHealth {
  readonly #options: WriteHealthOptions
  #state: StoreHealth = { status: 'ok' }
  #stopProbing: (() => void) | undefined

  constructor(options: WriteHealthOptions) {
    this.#options = options
  }

  get state(): StoreHealth {
    return this.#state
  }

  onCommitted(): void {
    if (this.#state.status === 'ok') return
    this.#state = { status: 'ok' }
    this.close()
  }

  onFailed(error: unknown, writes: WriteQueue): void {
    const { clock, path } = this.#options
    this.#state = { status: 'degraded', reason: faultReason(error, path) }
    this.#stopProbing ??= clock.every(PROBE_INTERVAL_MS, () => this.#probe(writes))
  }

  close(): void {
    this.#stopProbing?.()
    this.#stopProbing = undefined
  }

  #probe(writes: WriteQueue): void {
    if (writes.isPaused) return
    const { sql } = this.#options
    writes.transaction(() => {
      sql.of('fillProbe').run(PROBE_BYTES)
      return PROBE_BYTES
    })
    if (this.#state.status !== 'ok') return
    writes.transaction(() => {
      sql.of('clearProbe').run()
      return PROBE_BYTES
    })
  }
}
