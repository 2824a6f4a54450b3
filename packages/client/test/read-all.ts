import { FakeClock } from '@tributary/testkit'
import { type ReadStreamOptions, readStream } from '../src/read-stream.ts'
import type { StreamError } from '../src/stream-error.ts'

/** All of a stream, and what its reader did about it. */
export interface WholeStream {
  /** The data of each event. */
  readonly events: string[]
  /** Each wait between two attempts, in ms. */
  readonly waits: number[]
  /** Each time that it did not stand any more. */
  readonly interrupts: (StreamError | undefined)[]
}

/** Reads a stream to its end, on a clock that goes on by itself whenever the reader waits. Nothing is left to chance. */
export async function readAll(
  url: string,
  options: Partial<ReadStreamOptions> = {},
  clock = new FakeClock(),
): Promise<WholeStream> {
  const whole: WholeStream = { events: [], waits: [], interrupts: [] }
  const eager = {
    now: () => clock.now(),
    elapsed: () => 0,
    every: () => () => undefined,
    after(delayMs: number, callback: () => void) {
      whole.waits.push(delayMs)
      setImmediate(callback)
      return () => undefined
    },
  }
  const stream = readStream({
    url,
    fetch,
    signal: new AbortController().signal,
    clock: eager,
    random: () => 1,
    onInterrupt: (error) => whole.interrupts.push(error),
    ...options,
  })
  for await (const { data } of stream) whole.events.push(data)
  return whole
}
