import type { Topic } from '@tributary/protocol'
import type { LogEntry } from '../../event-log.ts'
import type { Whereabouts } from '../log-scripts.ts'
import type { LogPlace, LogState } from '../log-state.ts'
import type { ReadPage } from '../read/log-reads.ts'
import type { ScriptAnswer } from '../script-answer.ts'
import type { ToldEntry } from './log-message.ts'

/** What a follower needs of its log. */
export interface FollowerHost {
  readonly state: LogState
  /** Moves there, and tells these of what is new. */
  handOn(entries: readonly LogEntry[], place: LogPlace): void
  entryOf(told: ToldEntry, origin: string): LogEntry
  onDropped(): void
  /** Something was told that is in no log. */
  onEphemeral(message: string): void
  /** The log has lost what it had, or is another: its readers find their places anew. */
  rewind(place: LogPlace, isAnother: boolean): void
  /** So much is to be handed on that its readers read on by themselves, each from its place. */
  leap(place: LogPlace): void
  /** Something of these topics after this number was lost on the way, and others have come since. */
  onOvertaken(topics: readonly Topic[], afterN: number): void
  /** Stores what the log has lost, and what waits for that, before anything else is handed on. */
  store(): Promise<void>
  /**
   * The log has lost something: gives what of this node's is lost the places again that it had. Answers `done` where that
   * was so, `taken` where others have come there since, `nothing` where this node has appended nothing lately.
   */
  putBack(): Promise<'done' | 'taken' | 'nothing'>
  /** The log is not there: looks what has become of it, and makes it again where it is lost, and all of it is this node's. */
  makeAgain(): Promise<Whereabouts>
  /** The log is whole, and all that was stored before the comparison began has been handed on. */
  onCompared(): void
  /** Loads what the log is now. Answers where it stands; `undefined` where there is none any more. */
  reload(): Promise<LogPlace | undefined>
  /** Nobody knows for now when what was appended will be handed on. */
  onSuspect(): void
  compare(args: readonly (string | number)[]): Promise<ScriptAnswer>
  readPage(afterN: number, upToN: number, topics: readonly Topic[] | undefined): Promise<ReadPage>
  /** How often a connection to Redis has ended: what is asked since then another server may answer. */
  cuts(): number
  /** Why nothing can be followed now; `undefined` where it can. */
  unreachable(): Error | undefined
  after(delayMs: number, callback: () => void): () => void
}
