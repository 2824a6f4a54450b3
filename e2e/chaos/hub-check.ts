import { type HubNote, type HubReaderRecord, numberOf, type PublishRecord } from './ledger.ts'

export interface HubCheckOptions {
  /** Whether readers may be told a gap. Where history is kept for long enough none is due, and one is a false alarm. */
  readonly gapsAllowed: boolean
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
    ...checkAnswers(publishes),
    ...readers.flatMap((reader) => checkReader(reader, publishes, byKey, options)),
  ]
}

/** One id per key, and none twice; whoever publishes one after the other is answered in rising order. */
function checkAnswers(publishes: readonly PublishRecord[]): string[] {
  const found: string[] = []
  const keyOf = new Map<string, string>()
  const lastOf = new Map<string, { readonly key: string; readonly n: number }>()
  for (const { key, publisher, ids } of publishes) {
    const [id] = ids
    if (id === undefined) continue
    const others = new Set(ids).size - 1
    if (others > 0) found.push(`publish ${key} was acknowledged under several ids: ${ids.join(', ')}`)
    const twin = keyOf.get(id)
    if (twin !== undefined) found.push(`publishes ${twin} and ${key} were acknowledged under one id, ${id}`)
    keyOf.set(id, key)
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

function checkReader(
  { name, topics, notes }: HubReaderRecord,
  publishes: readonly PublishRecord[],
  byKey: ReadonlyMap<string, PublishRecord>,
  { gapsAllowed }: HubCheckOptions,
): string[] {
  const found: string[] = []
  const seen = new Map<string, string>()
  const gaps: { readonly from: number; readonly to: number }[] = []
  let last: string | undefined
  for (const note of notes) {
    if (note.kind === 'gap') {
      if (!gapsAllowed) found.push(`${name} was told a gap: ${describeGap(note)}`)
      gaps.push({ from: numberOf(note.from), to: numberOf(note.to) })
      continue
    }
    const { id, key } = note
    const earlier = seen.get(key)
    if (earlier !== undefined) found.push(`${name} got ${key} twice: at ${earlier} and at ${id}`)
    seen.set(key, id)
    if (last !== undefined && !(numberOf(id) > numberOf(last))) {
      found.push(`${name} got ${id} (${key}) after ${last}`)
    }
    last = id
    const publish = byKey.get(key)
    if (publish === undefined) found.push(`${name} got ${key} at ${id}, which nobody published`)
    else if (!topics.has(publish.topic)) found.push(`${name} got ${key}, which was for ${publish.topic}`)
  }
  for (const { key, topic, ids } of publishes) {
    const [id] = ids
    if (id === undefined || !topics.has(topic)) continue
    const seenAt = seen.get(key)
    if (seenAt === undefined) {
      const n = numberOf(id)
      const isTold = gaps.some(({ from, to }) => n > from && n <= to)
      if (!isTold) found.push(`${name} never got ${key}, which was acknowledged at ${id} for ${topic}`)
    } else if (seenAt !== id) {
      found.push(`${name} got ${key} at ${seenAt}, but it was acknowledged at ${id}`)
    }
  }
  return found
}

function describeGap({ from, to, reason }: Extract<HubNote, { kind: 'gap' }>): string {
  return `${reason}, from ${from} to ${to}`
}
