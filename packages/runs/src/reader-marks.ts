import type { EventLog } from '@tributary/eventlog'
import type { Clock } from '@tributary/protocol'

/** Begins the name of the attribute that says until when a node counts as reading, in ms since 1970. */
const READER = 'reader.'
/** How long a mark counts, and how often it is made anew, in ms. Clocks of nodes must not differ by more. */
const MARK_MS = 30_000
const RENEW_MS = 10_000

export interface ReaderMarksOptions {
  /** Of this node, random. */
  readonly name: string
  readonly clock: Clock
  /** How long a run counts as read when its last reader here has left, in ms. */
  readonly graceMs: number
}

/** Notes with the logs of runs that end with their readers that they are read at this node: for the one that executes them. */
export class ReaderMarks {
  readonly #options: ReaderMarksOptions
  readonly #marked = new Map<string, Marked>()

  constructor(options: ReaderMarksOptions) {
    this.#options = options
  }

  /** Notes a reader of a run; the answer takes that back, once. */
  hold(runId: string, openLog: () => Promise<EventLog>): () => void {
    let marked = this.#marked.get(runId)
    if (marked === undefined) {
      const mark = () => this.#mark(openLog, MARK_MS)
      marked = { holds: 0, cancel: this.#options.clock.every(RENEW_MS, mark) }
      this.#marked.set(runId, marked)
      mark()
    }
    marked.holds += 1
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#release(runId, openLog)
    }
  }

  #release(runId: string, openLog: () => Promise<EventLog>): void {
    const marked = this.#marked.get(runId)
    if (marked === undefined) return
    marked.holds -= 1
    if (marked.holds > 0) return
    marked.cancel()
    this.#marked.delete(runId)
    this.#mark(openLog, this.#options.graceMs)
  }

  #mark(openLog: () => Promise<EventLog>, forMs: number): void {
    const { name, clock } = this.#options
    const attributes = { [READER + name]: String(clock.now() + forMs) }
    // One that is missing is made up for by the next; a log that is closed needs none.
    const append = async () => void (await (await openLog()).append([], { attributes }))
    append().catch(() => undefined)
  }
}

interface Marked {
  holds: number
  readonly cancel: () => void
}

/** Until when a run counts as read at other nodes, in ms since 1970; 0 where nobody has read it. */
export function readUntil({ attributes }: Pick<EventLog, 'attributes'>): number {
  let until = 0
  for (const [name, text] of attributes) {
    const ms = name.startsWith(READER) ? Number(text) : 0
    if (ms > until) until = ms
  }
  return until
}
