import type { Position } from '@tributary/protocol'

/** The newest positions that are remembered; a cursor from before is judged by its reader's topics alone. */
const MAX_POSITIONS = 4_096

/** Where a log has been of late, whatever was appended there. Tells a cursor of another log by it. */
export class PositionTrail {
  #positions: Position[] = []

  /** Positions come in order, each higher than the one before. */
  add(position: Position): void {
    this.#positions.push(position)
    if (this.#positions.length >= 2 * MAX_POSITIONS) this.#positions = this.#positions.slice(-MAX_POSITIONS)
  }

  /** Whether a position could stand in the same log. */
  fits({ ms, n }: Position): boolean {
    let low = 0
    let high = this.#positions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#positions[middle]?.n ?? 0) > n) high = middle
      else low = middle + 1
    }
    const next = this.#positions[low]
    if (next !== undefined && next.ms < ms) return false
    const before = this.#positions[low - 1]
    if (before === undefined) return true
    return before.n === n ? before.ms === ms : before.ms <= ms
  }
}
