import type { LogEntry } from '@tributary/eventlog'
import { type Naming, wireName } from '@tributary/protocol'

/** Whether an entry is of a type that a reader asked for, comma-separated; `undefined` where it asked for all. */
export function acceptsTypes(
  list: string | undefined,
  naming: Naming,
): ((entry: LogEntry) => boolean) | undefined {
  const named = list?.split(',').map((type) => type.trim())
  const types = new Set(named?.filter((type) => type !== ''))
  if (types.size === 0) return undefined
  // By the stream's names, or by the standard ones.
  return ({ event: { type } }) => types.has(wireName(type, naming)) || types.has(type)
}
