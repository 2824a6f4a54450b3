import type { ConsistencyFault } from '@tributary/protocol'
import type { OpenStreams } from './open-streams.ts'
import type { StreamAdmission } from './stream-admission.ts'

/** The longest that a place is held before its stream is open, in ms: for what is begun for it, and a store that is slow. */
const OPENING_MS = 120_000

/** Places that are held for no stream: whoever took one forgot to give it back. */
export function* placeFaults(admission: StreamAdmission, streams: OpenStreams): Iterable<ConsistencyFault> {
  const used = new Set(streams.slots())
  for (const [number, slot] of admission.takenFor(OPENING_MS)) {
    if (used.has(slot)) continue
    const detail = 'the place of a stream that never came to stand, or has ended'
    yield { kind: 'leaked_hold', id: `stream ${number}`, detail, correct: () => slot.release() }
  }
}
