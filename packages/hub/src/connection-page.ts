import type { ConnectionState, ConnectionView } from '@tributary/protocol'

/** Which connections are asked for. */
export interface ConnectionQuery {
  readonly user?: string
  readonly group?: string
  readonly state?: ConnectionState
  /** Those that have been told why they end, too. Default false. */
  readonly leaving?: boolean
  /** The `next` of the page before. */
  readonly after?: string
  /** Default 100. */
  readonly limit?: number
}

const DEFAULT_PAGE_LIMIT = 100

/** A page of connections, the oldest first. */
export interface ConnectionPage<T = ConnectionView> {
  readonly connections: readonly T[]
  /** There where there are more: the `after` of the page behind it. */
  readonly next?: string
}

/** What a connection's place in the order is known by. */
export type Aged = Pick<ConnectionView, 'connectedAt' | 'connectionId'>

export function byAge(a: Aged, b: Aged): number {
  if (a.connectedAt !== b.connectedAt) return a.connectedAt - b.connectedAt
  return a.connectionId < b.connectionId ? -1 : a.connectionId > b.connectionId ? 1 : 0
}

/** Where a connection stands in the order, also when it has gone by the time that somebody comes back with it. */
function placeOf({ connectedAt, connectionId }: Aged): string {
  return `${connectedAt}-${connectionId}`
}

function agedAt(place: string): Aged {
  const dash = place.indexOf('-')
  return { connectedAt: Number(place.slice(0, dash)), connectionId: place.slice(dash + 1) }
}

/** The first of what comes after a place. `all` is in order. */
export function pageOf<T extends Aged>(
  all: Iterable<T>,
  { after, limit = DEFAULT_PAGE_LIMIT }: ConnectionQuery,
): ConnectionPage<T> {
  const from = after === undefined ? undefined : agedAt(after)
  const found: T[] = []
  for (const one of all) {
    if (from !== undefined && byAge(one, from) <= 0) continue
    if (found.push(one) > limit) break
  }
  const connections = found.slice(0, limit)
  const last = connections.at(-1)
  return { connections, ...(found.length > limit && last !== undefined ? { next: placeOf(last) } : {}) }
}

/** The pages of several nodes as one. What one of them has not told of yet begins behind it. */
export function mergedPages<T extends Aged>(
  pages: readonly ConnectionPage<T>[],
  query: ConnectionQuery,
): ConnectionPage<T> {
  const ends = pages.flatMap(({ next }) => (next === undefined ? [] : [agedAt(next)]))
  const [firstEnd] = ends.toSorted(byAge)
  const all = pages.flatMap(({ connections }) => connections).toSorted(byAge)
  const known = firstEnd === undefined ? all : all.filter((one) => byAge(one, firstEnd) <= 0)
  const page = pageOf(known, query)
  if (page.next !== undefined || firstEnd === undefined) return page
  return { ...page, next: placeOf(firstEnd) }
}
