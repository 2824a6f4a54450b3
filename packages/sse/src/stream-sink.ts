import type { Frame } from './frame.ts'
import type { WriteTurn } from './write-turn.ts'

/** Whose stream a sink carries. */
export interface SinkOwner {
  /** Nothing waits for the peer any more, after a time in which something did. */
  onSinkDrained(): void
  /** The sink is closed, from whichever side. Called once. */
  onSinkClosed(): void
}

/** Where the bytes of one stream go. */
export interface StreamSink {
  /** Takes a frame, in order. Ignored once the sink is closed. */
  write(frame: Frame): void
  /** Hands over at once what it gathers for the end of the turn. */
  flush(): void
  /** Whether what was handed over waits for the peer. More may be written all the same, and waits, too. */
  readonly busy: boolean
  /** Bytes taken that the peer's side is not known to have. */
  readonly pendingBytes: number
  /** Whether no more can be sent: ended, or the peer is gone. */
  readonly closed: boolean
  /** Whether its connection is gone, whether or not that was told. Default: as `closed`. */
  readonly lost?: boolean
  /** How many frames it takes at the pace it keeps, before it is busy. Default: any number. */
  readonly room?: number
  /** Ends after what was written. */
  end(): void
  /** Names who is told. Before, nobody is. */
  attach(owner: SinkOwner): void
}

/** Makes the sink of a stream. @param turn what the sinks of a process share, for those that gather. */
export type SinkFactory = (turn: WriteTurn) => StreamSink
