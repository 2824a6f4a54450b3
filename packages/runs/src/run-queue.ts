/** A run that waits for a node to execute it. */
export interface QueuedRun {
  readonly runId: string
  /** Whose turn it is. */
  readonly userId: string
}

/** A run that this node is to execute. */
export interface RunHold {
  readonly runId: string
  /** Aborted where it is this node's no more: it was away for too long, and another may have it. */
  readonly lost: AbortSignal
}

/** What became of a run at this node: it has ended, or another is to go on with it. */
export type RunRest = 'ended' | 'unfinished'

/** Executes a run, and answers what became of it. Where it throws, the run is tried again later, here or elsewhere. */
export type ExecuteRun = (hold: RunHold) => Promise<RunRest>

/** Which node executes which run, and who goes on with it when that one is gone. It knows of ids only. */
export interface RunQueue extends AsyncDisposable {
  /** Has the run executed by whichever node has room. Resolves once it cannot be lost any more. */
  add(run: QueuedRun): Promise<void>
  /** Executes the run here and at once, whatever the room; another node goes on with it where this one dies. */
  hold(run: QueuedRun, execute: ExecuteRun): Promise<void>
  /** Begins to take runs that were added, here or elsewhere. */
  take(execute: ExecuteRun): void
  /** Has a run executed here and at once that waits for a node. Answers whether it did wait. */
  hurry(run: QueuedRun): Promise<boolean>
  /** Which of these neither wait for a node nor are held by one: as where Redis lost what it had acknowledged. */
  missing(runIds: readonly string[]): Promise<readonly string[]>
  /** Of which of these the node that executes them is away, and no other has them yet. */
  unreachable(runIds: readonly string[]): Promise<ReadonlySet<string>>
  /** Whether others may have taken what this node executes: for the time of its lease it could not say that it lives. */
  mayBeReplaced(): boolean
  /** Takes no more. What is under way goes on. */
  pause(): Promise<void>
}
