import { Batch } from './batch.ts'
import { SocketWriter } from './raw-socket.ts'

/** What gathers frames within a turn. */
interface Gathering {
  /** Hands over what it has gathered. */
  flush(): void
}

/** What is opened within a turn. */
interface Settling {
  /** Makes up its mind how it writes. */
  settle(): void
}

/** One turn of the event loop, as the sinks of a process share it: what they gather is written at its end. */
export class WriteTurn {
  /** What the sinks write with, where they write past Node's own streams. */
  readonly writer = new SocketWriter()
  #number = 0
  #empty = new Batch()
  #begun = false
  #gathering: Gathering[] = []
  #settling: Settling[] = []
  #afterFlush: (() => void)[] = []

  /** Rises with every turn in which something was written. */
  get number(): number {
    return this.#number
  }

  /** Where the batches of this turn begin. */
  get empty(): Batch {
    return this.#empty
  }

  /** Notes that something is written in this turn. */
  begin(): void {
    if (this.#begun) return
    this.#begun = true
    setImmediate(this.#end)
  }

  /** Flushes it at the end of this turn. */
  gather(sink: Gathering): void {
    this.#gathering.push(sink)
  }

  /** Settles it at the end of this turn. */
  settle(sink: Settling): void {
    this.#settling.push(sink)
    this.begin()
  }

  /** Calls back once what was given to sinks in this turn has been handed to their sockets. */
  afterFlush(callback: () => void): void {
    this.#afterFlush.push(callback)
    this.begin()
  }

  readonly #end = (): void => {
    this.#begun = false
    this.#number += 1
    const gathering = this.#gathering
    const settling = this.#settling
    const afterFlush = this.#afterFlush
    this.#gathering = []
    this.#settling = []
    this.#afterFlush = []
    this.#empty = new Batch()
    // First, or what is flushed to a busy sink would keep it from settling in every turn.
    for (const sink of settling) sink.settle()
    for (const sink of gathering) sink.flush()
    for (const callback of afterFlush) callback()
  }
}
