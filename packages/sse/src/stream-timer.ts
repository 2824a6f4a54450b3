import type { HeartbeatFrames } from './heartbeat-frames.ts'
import type { LogStream } from './log-stream.ts'
import { DEFAULT_TICK_MS, type Scheduled, type TimerWheel } from './timer-wheel.ts'

/** What the timers of a server's streams share. */
export interface StreamTimerOptions {
  readonly wheel: TimerWheel
  readonly heartbeats: HeartbeatFrames
  readonly heartbeatMs: number
  /** Milliseconds since 1970, exact. */
  readonly now: () => number
}

/** Sends one stream its heartbeats, and ends it when its time is over. */
export class StreamTimer implements Scheduled {
  readonly #options: StreamTimerOptions
  readonly #opened: LogStream
  readonly #endTick: number
  #beatTick: number

  /** Starts it. @param timeoutMs how long the stream lasts at most. */
  constructor(options: StreamTimerOptions, opened: LogStream, timeoutMs: number) {
    const { wheel, heartbeatMs } = options
    this.#options = options
    this.#opened = opened
    // The wheel calls back up to two ticks late, and a timeout is kept.
    this.#endTick = wheel.tickAfter(Math.max(0, timeoutMs - 2 * DEFAULT_TICK_MS))
    this.#beatTick = wheel.tickAfter(heartbeatMs)
    wheel.add(this.#dueTick, this)
  }

  onDue(): void {
    const { wheel, heartbeats, heartbeatMs, now } = this.#options
    if (wheel.tick >= this.#endTick) {
      this.#opened.end('timeout')
      return
    }
    this.#beatTick = wheel.tickAfter(heartbeatMs)
    wheel.add(this.#dueTick, this)
    if (this.#opened.stream.hasRoomFor(1)) this.#opened.heartbeat(heartbeats, now())
  }

  stop(): void {
    this.#options.wheel.remove(this.#dueTick, this)
  }

  get #dueTick(): number {
    return Math.min(this.#beatTick, this.#endTick)
  }
}
