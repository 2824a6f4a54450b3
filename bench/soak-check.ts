import { parseEventId } from '@tributary/protocol'

/** Faults that are told in words; the others are only counted. */
const MAX_EXAMPLES = 20

/** What is wrong with what the readers got, counted by kind. */
export interface SoakFaults {
  /** Published to the reader's group, and never received. */
  lost: number
  /** Received again. */
  doubled: number
  /** Received after a later one. */
  disordered: number
  /** Received under another id than its publisher was answered, or than another reader got it under. */
  misnumbered: number
  /** Received by a reader of another group, or never published. */
  strange: number
  /** Told to be missing: history is kept for longer than any reader is away here. */
  gaps: number
}

/** One reader's place in the numbers of its group. */
interface Place {
  readonly group: number
  last: number
  /** The number of the last event in the log of the hub. */
  lastN: number
  /** Before the last, and not received yet. */
  readonly missing: Set<number>
}

/**
 * Holds what each reader got, over all of its connections, against what was published to its group. The events of a
 * group are numbered from 1 without a hole, and every reader is there before the first of them.
 */
export class SoakCheck {
  readonly faults: SoakFaults = { lost: 0, doubled: 0, disordered: 0, misnumbered: 0, strange: 0, gaps: 0 }
  readonly examples: string[] = []
  readonly #places: readonly Place[]
  /** For each group, where in the hub's log each of its events stands. */
  readonly #logs: readonly number[][]
  /** For each group, its last number that its publisher was answered. */
  readonly #published: number[]
  #received = 0

  /** @param groupOf the group of each reader, by the reader's number. */
  constructor(groups: number, groupOf: readonly number[]) {
    this.#places = groupOf.map((group) => ({ group, last: 0, lastN: 0, missing: new Set<number>() }))
    this.#logs = Array.from({ length: groups }, () => [])
    this.#published = Array.from({ length: groups }, () => 0)
  }

  /** Events that came, each once for each reader. */
  get received(): number {
    return this.#received
  }

  /** Takes note that an event was published, in the order of its group. */
  published(group: number, number: number, id: string): void {
    this.#published[group] = Math.max(number, this.#published[group] ?? 0)
    this.#place(group, number, id, 'its publisher')
  }

  /** Takes note of an event that a reader got. */
  got(reader: number, group: number, number: number, id: string): void {
    this.#received += 1
    const place = this.#places[reader]
    if (place?.group !== group) {
      this.#fault('strange', `reader ${reader} got event ${number} of group ${group}, which is not its own`)
      return
    }
    const n = this.#place(group, number, id, `reader ${reader}`)
    if (number <= place.last) {
      const isLate = place.missing.delete(number)
      const after = `reader ${reader} got event ${number} of group ${group} after ${place.last}`
      if (isLate) this.#fault('disordered', after)
      else this.#fault('doubled', `${after}, and had it before`)
      return
    }
    if (n <= place.lastN) this.#fault('disordered', `reader ${reader} got ${id} after number ${place.lastN}`)
    for (let skipped = place.last + 1; skipped < number; skipped++) place.missing.add(skipped)
    place.last = number
    place.lastN = n
  }

  /** Takes note that a reader was told of a gap. */
  gap(reader: number, data: string): void {
    this.#fault('gaps', `reader ${reader} was told a gap: ${data}`)
  }

  /** Whether every reader has come as far as what was published. */
  get isCaughtUp(): boolean {
    return this.#places.every(({ group, last }) => last >= (this.#published[group] ?? 0))
  }

  /** Counts what is still missing as lost. Called once, when nothing more will come. */
  finish(): void {
    for (const [reader, { group, last, missing }] of this.#places.entries()) {
      const published = this.#published[group] ?? 0
      for (let number = last + 1; number <= published; number++) missing.add(number)
      const [first] = missing
      if (first !== undefined) {
        this.faults.lost += missing.size
        this.#example(
          `reader ${reader} never got ${missing.size} events of group ${group}, the first ${first}`,
        )
      }
      if (last > published) {
        this.#fault(
          'strange',
          `reader ${reader} got event ${last} of group ${group}; ${published} were published`,
        )
      }
    }
  }

  /** Where an event stands in the log of the hub: at the same place for all who name it. */
  #place(group: number, number: number, id: string, who: string): number {
    const n = parseEventId(id)?.n ?? Number.NaN
    const log = this.#logs[group]
    const known = log?.[number]
    if (known === undefined && log !== undefined) log[number] = n
    if (!(n > 0) || (known !== undefined && known !== n)) {
      this.#fault('misnumbered', `${who} has event ${number} of group ${group} at ${id}, others at ${known}`)
    }
    return n
  }

  #fault(kind: keyof SoakFaults, words: string): void {
    this.faults[kind] += 1
    this.#example(words)
  }

  #example(words: string): void {
    if (this.examples.length < MAX_EXAMPLES) this.examples.push(words)
  }
}
