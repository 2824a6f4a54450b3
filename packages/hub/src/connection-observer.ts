import type { StreamEnd } from '@tributary/sse'
import type { Announcement, ConnectionEntry } from './registry/connection-registry.ts'

/**
 * Told of who connects, disconnects, comes into a group and leaves it, by whichever node finds it. What it is told may
 * come twice: a connection by its `token`, a join or leave by its `stayId` is the same.
 */
export interface ConnectionObserver {
  /** Whether joins and leaves are announced of every group for it, watched or not. */
  readonly wantsPresence: boolean
  connected(entry: ConnectionEntry): Promise<void>
  /** @param end why it ended; `node_gone` where the node that had it is gone. */
  disconnected(entry: ConnectionEntry, end: StreamEnd | 'node_gone'): Promise<void>
  /** Told again later where it rejects. */
  announced(announcement: Announcement): Promise<void>
}

/** Wants to know nothing. */
export const NO_OBSERVER: ConnectionObserver = {
  wantsPresence: false,
  connected: () => Promise.resolve(),
  disconnected: () => Promise.resolve(),
  announced: () => Promise.resolve(),
}
