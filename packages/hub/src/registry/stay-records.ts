import type { EventLog } from '@tributary/eventlog'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'

export const Announced = Type.Object({
  kind: Type.Enum(['join', 'leave']),
  place: Type.String(),
  group: Type.String(),
  userId: Type.String(),
  stayId: Type.String(),
  since: Type.Number(),
  at: Type.Number(),
  shown: Type.Optional(Type.String()),
})

/** A stay as it is kept. */
export const StayRecord = Type.Object({
  group: Type.String(),
  userId: Type.String(),
  stayId: Type.String(),
  since: Type.Number(),
  shown: Type.Optional(Type.String()),
  /** Whether he has left, which is still to be told. */
  isOver: Type.Boolean(),
  pending: Type.Array(Announced),
})
export type StayRecord = Static<typeof StayRecord>
const recordCheck = Compile(StayRecord)

const STAY = 'stay:'
const WATCH = 'watch:'

/** Where stays are kept, so that who does not come back after a restart has left. */
export interface StayRecords {
  readonly stays: ReadonlyMap<string, StayRecord>
  /** Until when the groups are watched, in ms since 1970. */
  readonly watches: ReadonlyMap<string, number>
  /** `null` forgets it. Not awaited: what is told of it is stored after it. */
  store(stays: ReadonlyMap<string, StayRecord | null>): void
  storeWatches(watches: ReadonlyMap<string, number | null>): void
}

/** Keeps nothing. */
export const NO_STAY_RECORDS: StayRecords = {
  stays: new Map(),
  watches: new Map(),
  store: () => undefined,
  storeWatches: () => undefined,
}

/** Keeps stays as attributes of a log, which holds no events. */
export class LoggedStayRecords implements StayRecords {
  readonly stays = new Map<string, StayRecord>()
  readonly watches = new Map<string, number>()
  readonly #log: EventLog

  /** What it holds is what it finds; it is not kept up. */
  constructor(log: EventLog) {
    this.#log = log
    for (const [key, text] of log.attributes) {
      if (key.startsWith(WATCH)) this.watches.set(key.slice(WATCH.length), Number(text))
      if (!key.startsWith(STAY)) continue
      const record: unknown = JSON.parse(text)
      if (recordCheck.Check(record)) this.stays.set(key.slice(STAY.length), record)
    }
  }

  store(stays: ReadonlyMap<string, StayRecord | null>): void {
    this.#append(STAY, stays)
  }

  storeWatches(watches: ReadonlyMap<string, number | null>): void {
    this.#append(WATCH, watches)
  }

  #append(prefix: string, values: ReadonlyMap<string, unknown>): void {
    if (values.size === 0) return
    const attributes: Record<string, string | null> = {}
    for (const [key, value] of values)
      attributes[prefix + key] = value === null ? null : JSON.stringify(value)
    // Nobody is refused because it cannot be stored: this process remembers, and the store says that it is not well.
    this.#log.append([], { attributes }).catch(() => undefined)
  }
}
