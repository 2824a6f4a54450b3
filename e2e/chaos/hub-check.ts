import {
  type HubNote,
  type HubReaderRecord,
  isRewind,
  numberOf,
  type PublishRecord,
  placeOf,
} from './ledger.ts'

export interface HubCheckOptions {
  /** Whether readers may be told a gap. Where history is kept for long enough none is due, and one is a false alarm. */
  readonly gapsAllowed: boolean
  /**
   * There where the log may have lost what it had acknowledged, as by a failover. That is told to whoever was not sent it,
   * and then readers get what there is once more, from the oldest on, and numbers begin anew. Default: it loses nothing.
   */
  readonly losing?: {
    /** The ids that the log has in the end. */
    readonly kept: ReadonlySet<string>
    /** Whether it was published in an earlier round. */
    isEarlier(key: string): boolean
  }
}

/**
 * Holds what the readers got against what was published: every acknowledged publish once, at its id, in the order of
 * ids, with everyone it was for and nobody else, or a gap that says so.
 */
export function checkHub(
  publishes: readonly PublishRecord[],
  readers: readonly HubReaderRecord[],
  options: HubCheckOptions,
): string[] {
  const byKey = new Map(publishes.map((publish) => [publish.key, publish]))
  return [
    ...checkAnswers(publishes, options),
    ...readers.flatMap((reader) => new ReaderCheck(reader, byKey, options).check(publishes)),
  ]
}

/** One id per key, and none twice; whoever publishes one after the other is answered in rising order. */
function checkAnswers(publishes: readonly PublishRecord[], { losing }: HubCheckOptions): string[] {
  const kept = losing?.kept
  const found: string[] = []
  const keyOf = new Map<string, string>()
  const lastOf = new Map<string, { readonly key: string; readonly n: number }>()
  for (const { key, publisher, ids } of publishes) {
    // What the log has lost was answered before the last answer.
    const lasting = kept === undefined ? ids : ids.slice(-1)
    const [id] = lasting
    if (id === undefined) continue
    const others = new Set(lasting).size - 1
    if (others > 0) found.push(`publish ${key} was acknowledged under several ids: ${ids.join(', ')}`)
    const twice = [...new Set(ids.filter((one) => kept?.has(one)))]
    if (twice.length > 1) found.push(`publish ${key} stands in the log at ${twice.join(' and at ')}`)
    const twin = keyOf.get(id)
    if (twin !== undefined) found.push(`publishes ${twin} and ${key} were acknowledged under one id, ${id}`)
    keyOf.set(id, key)
    if (kept !== undefined && !kept.has(id)) continue
    const last = lastOf.get(publisher)
    const n = numberOf(id)
    if (last !== undefined && !(n > last.n)) {
      found.push(
        `publish ${key} at ${id} stands before ${last.key}, which was acknowledged before it was sent`,
      )
    }
    lastOf.set(publisher, { key, n })
  }
  return found
}

type Sighting = { readonly id: string; readonly rewinds: number }

/** In place of the id of an event that came before it had one. */
const UNPLACED = ''

/** Goes through the notes of one reader. */
class ReaderCheck {
  readonly #reader: HubReaderRecord
  readonly #byKey: ReadonlyMap<string, PublishRecord>
  readonly #options: HubCheckOptions
  readonly #found: string[] = []
  readonly #seen = new Map<string, Sighting>()
  readonly #gaps: { readonly from: number; readonly to: number; readonly isRewind: boolean }[] = []
  #last: string | undefined
  #rewinds = 0

  constructor(reader: HubReaderRecord, byKey: ReadonlyMap<string, PublishRecord>, options: HubCheckOptions) {
    this.#reader = reader
    this.#byKey = byKey
    this.#options = options
  }

  check(publishes: readonly PublishRecord[]): string[] {
    for (const note of this.#reader.notes) this.#take(note)
    for (const publish of publishes) this.#checkWhole(publish)
    this.#checkStepsBack()
    return this.#found
  }

  #say(text: string): void {
    this.#found.push(`${this.#reader.name} ${text}`)
  }

  #take(note: HubNote): void {
    if (note.kind === 'gap') this.#takeGap(note)
    else if (note.kind === 'event') this.#takeEvent(note)
  }

  #takeGap(gap: Extract<HubNote, { kind: 'gap' }>): void {
    const { gapsAllowed, losing } = this.#options
    // After a loss a gap may be told too wide, and under any name: what comes behind it may come once more.
    const rewinds = isRewind(gap) || losing !== undefined
    if (!gapsAllowed && losing === undefined) this.#say(`was told a gap: ${describeGap(gap)}`)
    this.#gaps.push({ from: numberOf(gap.from), to: numberOf(gap.to), isRewind: rewinds })
    if (!rewinds) return
    this.#rewinds += 1
    this.#last = undefined
  }

  /** An id that goes back would have events come twice after the next drop; but where the log itself did. */
  #checkStepsBack(): void {
    const back = this.#reader.notes.filter((note) => note.kind === 'back')
    const [first] = back.slice(this.#options.losing === undefined ? 0 : this.#rewinds)
    if (first !== undefined) this.#say(`was sent back from ${first.from} to ${first.to}`)
  }

  #takeEvent({ id, key }: Extract<HubNote, { kind: 'event' }>): void {
    const publish = this.#byKey.get(key)
    // One that was not stored when it came has no place in the order yet, and bears that of its reader.
    const isUnplaced = id.includes('~') && publish?.ids.includes(placeOf(id)) === false
    const earlier = this.#seen.get(key)
    if (earlier !== undefined && !this.#mayComeAgain(earlier))
      this.#say(`got ${key} twice: at ${earlier.id} and at ${id}`)
    this.#seen.set(key, { id: isUnplaced ? UNPLACED : placeOf(id), rewinds: this.#rewinds })
    if (!isUnplaced) {
      if (this.#last !== undefined && !(numberOf(id) > numberOf(this.#last)))
        this.#say(`got ${id} (${key}) after ${this.#last}`)
      this.#last = id
    }
    if (publish === undefined) {
      const isRead = this.#rewinds > 0 && this.#options.losing?.isEarlier(key) === true
      if (!isRead) this.#say(`got ${key} at ${id}, which nobody published`)
    } else if (!this.#reader.topics.has(publish.topic))
      this.#say(`got ${key}, which was for ${publish.topic}`)
  }

  /** Where the log was found to have lost something. */
  #mayComeAgain(earlier: Sighting): boolean {
    return this.#options.losing !== undefined && this.#rewinds > earlier.rewinds
  }

  /** An acknowledged event came at its id, or a gap says that it did not. */
  #checkWhole({ key, topic, ids }: PublishRecord): void {
    const kept = this.#options.losing?.kept
    const id = kept === undefined ? ids[0] : ids.at(-1)
    if (id === undefined || !this.#reader.topics.has(topic)) return
    const seenAt = this.#seen.get(key)?.id
    if (seenAt === undefined) {
      const n = numberOf(id)
      const isLost = kept !== undefined && !kept.has(id)
      const isTold = this.#gaps.some((gap) => (n > gap.from && n <= gap.to) || (isLost && gap.isRewind))
      if (!isTold && !(isLost && this.#reader.isLate === true))
        this.#say(`never got ${key}, which was acknowledged at ${id} for ${topic}`)
      // What was lost after it was answered is stored again, at another place; so is what was lost after it was read.
    } else if (
      seenAt !== id &&
      seenAt !== UNPLACED &&
      (kept === undefined || (kept.has(id) && kept.has(seenAt)))
    ) {
      this.#say(`got ${key} at ${seenAt}, but it was acknowledged at ${id}`)
    }
  }
}

function describeGap({ from, to, reason }: Extract<HubNote, { kind: 'gap' }>): string {
  return `${reason}, from ${from} to ${to}`
}
