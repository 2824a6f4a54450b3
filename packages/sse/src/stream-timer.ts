import type { AuthExpiringData } from '@tributary/protocol'
import type { HeartbeatFrames } from './heartbeat-frames.ts'
import type { LogStream } from './log-stream.ts'
import type { StreamCredential } from './stream-credential.ts'
import { DEFAULT_TICK_MS, type Scheduled, type TimerWheel } from './timer-wheel.ts'

/** The part of the time that a credential has when its stream gets it, in which its end is told at most. */
const WARNING_SHARE = 0.1

/** What the timers of a server's streams share. */
export interface StreamTimerOptions {
  readonly wheel: TimerWheel
  readonly heartbeats: HeartbeatFrames
  readonly heartbeatMs: number
  /** How long before its credential ends a reader is told, in ms. */
  readonly expiryWarningMs: number
  /** Milliseconds since 1970, exact. */
  readonly now: () => number
}

/** Of a credential that ends. Others cost nothing. */
interface Expiry {
  /** Milliseconds since 1970. */
  readonly endsAt: number
  /** When its reader is to be told; none once he has been. */
  warnAt: number | undefined
  /** When to look next. A guess: what counts is the wall clock, which may be set. */
  tick: number
}

/** Sends one stream its heartbeats, and ends it when its time is over, or that of its credential. */
export class StreamTimer implements Scheduled {
  readonly #options: StreamTimerOptions
  readonly #opened: LogStream
  #endTick: number
  #beatTick: number
  #credential: StreamCredential | undefined
  #expiry: Expiry | undefined

  /** Starts it. @param timeoutMs how long the stream lasts at most. */
  constructor(
    options: StreamTimerOptions,
    opened: LogStream,
    timeoutMs: number,
    credential: StreamCredential | undefined,
  ) {
    const { wheel, heartbeatMs } = options
    this.#options = options
    this.#opened = opened
    // The wheel calls back up to two ticks late, and a timeout is kept.
    this.#endTick = wheel.tickAfter(Math.max(0, timeoutMs - 2 * DEFAULT_TICK_MS))
    this.#beatTick = wheel.tickAfter(heartbeatMs)
    this.#credential = credential
    this.#expiry = this.#expiryOf(credential)
    wheel.add(this.#dueTick, this)
  }

  get credential(): StreamCredential | undefined {
    return this.#credential
  }

  get connectionId(): string {
    return this.#opened.connectionId
  }

  /** Goes by another credential from here on. */
  renew(credential: StreamCredential | undefined): void {
    const { wheel } = this.#options
    // In this order: a wheel that is empty for a moment stops.
    const tick = this.#dueTick
    this.#credential = credential
    this.#expiry = this.#expiryOf(credential)
    if (this.#dueTick === tick) return
    wheel.add(this.#dueTick, this)
    wheel.remove(tick, this)
  }

  onDue(): void {
    const { wheel, heartbeats, heartbeatMs, now } = this.#options
    if (wheel.tick >= this.#endTick) {
      this.#opened.end('timeout')
      return
    }
    if (this.#expiry !== undefined && this.#isOver(this.#expiry)) {
      this.#opened.end('token_expired')
      return
    }
    const beats = wheel.tick >= this.#beatTick
    if (beats) this.#beatTick = wheel.tickAfter(heartbeatMs)
    wheel.add(this.#dueTick, this)
    if (beats && this.#opened.stream.hasRoomFor(1)) this.#opened.heartbeat(heartbeats, now())
  }

  stop(): void {
    this.#options.wheel.remove(this.#dueTick, this)
  }

  /** Has the wheel call it again, where it was taken from there. */
  restart(): void {
    this.stop()
    const { wheel } = this.#options
    const next = wheel.tickAfter(0)
    this.#beatTick = Math.max(this.#beatTick, next)
    this.#endTick = Math.max(this.#endTick, next)
    if (this.#expiry !== undefined) this.#expiry.tick = Math.max(this.#expiry.tick, next)
    wheel.add(this.#dueTick, this)
  }

  get #dueTick(): number {
    return Math.min(this.#beatTick, this.#endTick, this.#expiry?.tick ?? this.#endTick)
  }

  #expiryOf(credential: StreamCredential | undefined): Expiry | undefined {
    const endsAt = credential?.expiresAt
    if (endsAt === undefined) return undefined
    const { now, expiryWarningMs } = this.#options
    const left = Math.max(0, endsAt - now())
    const warnAt = endsAt - Math.min(expiryWarningMs, left * WARNING_SHARE)
    return { endsAt, warnAt, tick: this.#tickAt(warnAt) }
  }

  /** Looks whether its time is over; tells its reader where it soon is. */
  #isOver(expiry: Expiry): boolean {
    const now = this.#options.now()
    if (now >= expiry.endsAt) return true
    if (expiry.warnAt !== undefined && now >= expiry.warnAt && this.#opened.stream.hasRoomFor(1)) {
      expiry.warnAt = undefined
      const data: AuthExpiringData = { expiresAt: expiry.endsAt }
      this.#opened.stream.control('auth_expiring', data)
    }
    // One that has no room is asked again with its next heartbeat.
    const isToBeTold = expiry.warnAt !== undefined && expiry.warnAt > now
    expiry.tick = this.#tickAt(isToBeTold ? expiry.warnAt : expiry.endsAt)
    return false
  }

  #tickAt(moment = 0): number {
    const { wheel, now } = this.#options
    return wheel.tickAfter(Math.max(0, moment - now()))
  }
}
