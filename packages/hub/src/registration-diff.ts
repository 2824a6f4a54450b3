import type { ConnectionEntry, ConnectionRef, GroupMove } from './registry/connection-registry.ts'

/** What the registry has of a node, beside what is open there. */
export interface RegistrationDiff {
  /** Registered, and not open. */
  readonly ghosts: readonly ConnectionEntry[]
  /** Open, and not registered. */
  readonly missing: readonly ConnectionEntry[]
  /** Registered with other groups than they have. */
  readonly moved: readonly { readonly entry: ConnectionEntry; readonly move: GroupMove }[]
}

export function registrationKey({ connectionId, token }: ConnectionRef): string {
  return `${token} ${connectionId}`
}

/**
 * @param open what is open, as it should be registered. @param isOpen of what is just being registered, too: it is
 *   neither missing nor a ghost.
 */
export function registrationDiff(
  known: ReadonlyMap<string, ConnectionEntry>,
  open: readonly ConnectionEntry[],
  isOpen: (ref: ConnectionRef) => boolean,
): RegistrationDiff {
  const missing: ConnectionEntry[] = []
  const moved: { entry: ConnectionEntry; move: GroupMove }[] = []
  for (const entry of open) {
    const registered = known.get(registrationKey(entry))
    if (registered === undefined) {
      missing.push(entry)
      continue
    }
    const move = {
      join: entry.groups.filter((group) => !registered.groups.includes(group)),
      leave: registered.groups.filter((group) => !entry.groups.includes(group)),
    }
    if (move.join.length + move.leave.length > 0) moved.push({ entry, move })
  }
  return { ghosts: [...known.values()].filter((entry) => !isOpen(entry)), missing, moved }
}
