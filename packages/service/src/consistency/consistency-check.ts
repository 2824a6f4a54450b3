import type { Clock, ConsistencyFault, ConsistencyFaultKind, ConsistencyReport } from '@tributary/protocol'

/** How long after the first look the second is, in ms: what is under way comes to its end in between. */
const CONFIRM_MS = 2_000
/** Faults that a report names. All are counted. */
const MAX_TOLD = 100

/** What can be looked at. It rejects where it cannot be looked at now. */
export interface FaultSource {
  readonly name: string
  look(): readonly ConsistencyFault[] | Promise<readonly ConsistencyFault[]>
}

export interface ConsistencyCheckOptions {
  readonly sources: readonly FaultSource[]
  readonly clock: Clock
  /** 0: it only runs when it is asked to. */
  readonly intervalMs: number
  readonly action: 'auto_correct' | 'fail_fast'
  /** Default 2,000. */
  readonly confirmMs?: number
  readonly log: {
    warn(fields: Readonly<Record<string, unknown>>, message: string): void
    fatal(fields: Readonly<Record<string, unknown>>, message: string): void
  }
  /** Ends the process, where the action is to. */
  readonly fail: (message: string) => void
}

type Told = ConsistencyReport['found'][number]

/**
 * Looks at an interval whether what a process holds fits together, and to what the cluster knows of it. A fault is what
 * two looks in a row find, so that nothing that is only under way is taken for one.
 */
export class ConsistencyCheck {
  readonly #options: ConsistencyCheckOptions
  readonly #totals: Record<ConsistencyFaultKind, number> = {
    leaked_connection: 0,
    leaked_subscription: 0,
    lost_subscription: 0,
    leaked_timer: 0,
    lost_timer: 0,
    leaked_hold: 0,
    missing_in_cluster: 0,
    ghost_in_cluster: 0,
  }
  #running: Promise<ConsistencyReport> | undefined
  #last: ConsistencyReport | undefined
  #stop: (() => void) | undefined

  constructor(options: ConsistencyCheckOptions) {
    this.#options = options
  }

  /** What the last check found; none before the first. */
  get last(): ConsistencyReport | undefined {
    return this.#last
  }

  /** Since the start, by kind; each kind is there from the beginning. */
  get totals(): Record<ConsistencyFaultKind, number> {
    return { ...this.#totals }
  }

  begin(): void {
    const { clock, intervalMs } = this.#options
    if (intervalMs > 0) this.#stop ??= clock.every(intervalMs, () => void this.run())
  }

  close(): void {
    this.#stop?.()
    this.#stop = undefined
  }

  /** Checks now; calls that overlap share one check. It never rejects. */
  run(): Promise<ConsistencyReport> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #run(): Promise<ConsistencyReport> {
    const { clock, confirmMs = CONFIRM_MS } = this.#options
    const beganAt = clock.elapsed()
    const checkedAt = clock.now()
    const skipped = new Map<string, string>()
    let faults = await this.#look(skipped)
    if (faults.size > 0) {
      await new Promise<void>((resolve) => clock.after(confirmMs, resolve))
      const again = await this.#look(skipped)
      faults = new Map([...again].filter(([key]) => faults.has(key)))
    }
    const found = await this.#act([...faults.values()])
    const tookMs = clock.elapsed() - beganAt
    const told = [...skipped].map(([name, why]) => `${name}: ${why}`)
    this.#last = { checkedAt, tookMs, found, skipped: told, totals: this.totals }
    return this.#last
  }

  async #look(skipped: Map<string, string>): Promise<Map<string, ConsistencyFault>> {
    const faults = new Map<string, ConsistencyFault>()
    for (const source of this.#options.sources) {
      try {
        for (const fault of await source.look()) faults.set(`${fault.kind} ${fault.id}`, fault)
      } catch (error) {
        skipped.set(source.name, messageOf(error))
      }
    }
    return faults
  }

  async #act(faults: readonly ConsistencyFault[]): Promise<Told[]> {
    if (faults.length === 0) return []
    const { action, log, fail } = this.#options
    for (const { kind } of faults) this.#totals[kind] += 1
    const corrected = action === 'auto_correct' ? await correctAll(faults) : faults.map(() => false)
    const found = faults
      .slice(0, MAX_TOLD)
      .map(
        ({ kind, id, detail }, index): Told => ({ kind, id, detail, corrected: corrected[index] ?? false }),
      )
    if (action === 'auto_correct') {
      log.warn({ count: faults.length, found }, 'what is held did not fit together, and was set right')
    } else {
      log.fatal({ count: faults.length, found }, 'what is held does not fit together')
      fail(failureOf(faults))
    }
    return found
  }
}

/** Whether each could be set right. */
async function correctAll(faults: readonly ConsistencyFault[]): Promise<boolean[]> {
  const corrected: boolean[] = []
  for (const fault of faults) {
    try {
      await fault.correct()
      corrected.push(true)
    } catch {
      // The next check finds it again.
      corrected.push(false)
    }
  }
  return corrected
}

function failureOf([first, ...others]: readonly ConsistencyFault[]): string {
  const more = others.length === 0 ? '' : `, and ${others.length} more`
  return (
    `What is held does not fit together: ${first?.kind} ${JSON.stringify(first?.id)}, ${first?.detail}${more}. ` +
    'CONSISTENCY_ACTION=auto_correct would have set it right; the log names what was found.'
  )
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
