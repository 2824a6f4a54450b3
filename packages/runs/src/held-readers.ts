import type { ReaderMarks } from './reader-marks.ts'

type OpenLog = Parameters<ReaderMarks['hold']>[1]

/** The readers that a run has at this node. */
export class HeldReaders {
  #count = 0
  #unmark: (() => void) | undefined

  get count(): number {
    return this.#count
  }

  /** Notes one; the answer takes that back, once. @param onNone called when the last has left. */
  hold(onNone: () => void): () => void {
    this.#count += 1
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#count -= 1
      if (this.#count > 0) return
      this.#unmark?.()
      onNone()
    }
  }

  /** Has the next node that goes on with the run know of those that are here. */
  handOver(runId: string, marks: ReaderMarks, openLog: OpenLog): void {
    if (this.#count > 0) this.#unmark = marks.hold(runId, openLog)
  }
}
