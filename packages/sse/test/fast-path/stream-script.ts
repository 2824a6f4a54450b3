import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Append, EventLog } from '@tributary/eventlog'

/** As they stand in an address. */
export interface ScriptOptions {
  readonly script?: string
  /** Characters of each event. */
  readonly size?: string
}

/**
 * What one log is told to do, one step after the other:
 *
 * `r5` five events before it is served; `s3` three, each in a turn of its own; `k3` three of one key, and `l3` three of
 * low priority, in the same way; `b9` nine in one turn; `t2` two turns; `e` the end.
 */
export class Script {
  readonly #steps: RegExpMatchArray[]
  readonly #log: EventLog
  readonly #text: string
  #n = 0

  constructor(log: EventLog, { script = '', size = '10' }: ScriptOptions) {
    this.#log = log
    this.#steps = [...script.matchAll(/([rskblte])(\d*)/g)]
    this.#text = 'x'.repeat(Number(size))
  }

  async before(): Promise<void> {
    for (const [, step, count] of this.#steps) if (step === 'r') await this.#append(Number(count))
  }

  async run(): Promise<void> {
    for (const [, step = '', count] of this.#steps) {
      if (step === 'b') await this.#append(Number(count))
      if (step === 'e') await this.#log.close({ event: { type: 'complete', data: {}, source: 'test' } })
      for (let i = 0; i < Number(count); i++) {
        if ('skl'.includes(step)) await this.#append(1, MANNERS[step])
        if ('sklt'.includes(step)) await nextTurn()
      }
    }
  }

  async #append(count: number, manner: Manner = {}): Promise<void> {
    const events = Array.from({ length: count }, () => ({ n: this.#n++, text: this.#text }))
    await this.#log.append(
      events.map((data) => ({ event: { type: 'said', data, source: 'test', ...manner } })),
    )
  }
}

type Manner = Pick<Append['event'], 'conflate' | 'priority'>

const MANNERS: Readonly<Record<string, Manner>> = {
  k: { conflate: 'key' },
  l: { priority: 'low' },
}
