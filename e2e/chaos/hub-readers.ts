import { GROUPS, HEARTBEAT_MS, USERS } from './chaos-settings.ts'
import { HUB_READER_KINDS, HubReader, type HubReaderKind } from './hub-reader.ts'
import type { SeededRandom } from './seeded-random.ts'

interface Place {
  readonly url: string
  readonly random: SeededRandom
  readonly onFault: (fault: string) => void
}

/** Of each kind one reader per user, each in some of the groups. */
export function openReaders(place: Place): HubReader[] {
  return HUB_READER_KINDS.flatMap((kind, row) =>
    USERS.map((user, index) =>
      openReader(index, {
        ...place,
        kind,
        name: `${user} by ${kind}`,
        random: place.random.fork(row * USERS.length + index),
      }),
    ),
  )
}

/** A reader that begins at a cursor: it gets what others got while it happened from what is stored. */
export function openLateReader(index: number, since: string, place: Place): HubReader {
  return openReader(index, { ...place, kind: 'stream', name: `${USERS[index]}, late`, since })
}

function openReader(
  index: number,
  options: Place & { readonly kind: HubReaderKind; readonly name: string; readonly since?: string },
): HubReader {
  const user = USERS[index] ?? USERS[0]
  return new HubReader({
    ...options,
    user,
    token: `${user}-token`,
    groups: GROUPS.slice(0, index + 1),
    heartbeatMs: HEARTBEAT_MS,
  })
}
