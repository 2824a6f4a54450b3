import { setImmediate as nextTurn } from 'node:timers/promises'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { type Audience, systemClock } from '@tributary/protocol'
import { StreamServer } from '@tributary/sse'
import { EventCollector } from '@tributary/testkit'
import { describe, expect, it, vi } from 'vitest'
import { Hub } from '../src/hub.ts'
import { type HubServer, startFastify, startWeb } from './servers.ts'

const READERS = 100
const USERS = 10
const GROUPS = 5
/** Events are published until readers have come this often. */
const CONNECTIONS = 500
/** And no more than this, should they not. */
const MAX_EVENTS = 50_000
/** A reader leaves after at most so many events. */
const MAX_STAY = 200

/** Numbers that look random and are the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

interface Reader {
  readonly user: string
  readonly group: string
}

/** Whom the nth event is for: everyone, a user, a group, or a user and a group that overlap. */
function audienceOf(n: number): Audience {
  const user = `u${n % USERS}`
  const group = `g${n % GROUPS}`
  if (n % 10 === 0) return { all: true }
  if (n % 3 === 0) return { users: [user] }
  return n % 3 === 1 ? { groups: [group] } : { users: [user], groups: [group] }
}

function isFor({ user, group }: Reader, { all, users, groups }: Audience): boolean {
  return all === true || users?.includes(user) === true || groups?.includes(group) === true
}

/** Reads until the last event, leaving and coming back on the way; answers all that came. */
async function readAll(server: HubServer, { user, group }: Reader, random: () => number): Promise<number[]> {
  const got: number[] = []
  let cursor: string | undefined
  for (;;) {
    const timeout = random() < 0.2 ? `&timeout=${1 + Math.floor(random() * 200)}` : ''
    const reader = await EventCollector.open(
      `${server.url}/stream?user=${user}&group=${group}${timeout}`,
      cursor === undefined ? {} : { headers: { 'last-event-id': cursor } },
    )
    const stay = Math.floor(random() * MAX_STAY)
    // A rotation ends the stream from the other side.
    const left = reader.waitFor(({ type }) => type === 'end' || reader.events.length > stay)
    await Promise.race([left.catch(() => undefined), reader.ended])
    await reader.close()
    expect(reader.ofType('gap')).toEqual([])
    got.push(...reader.ofType('e').map(({ data }) => data as number))
    cursor = reader.lastEventId ?? cursor
    if (reader.ofType('end').length > 0) return got
  }
}

describe.each([
  { framework: 'Fastify', start: startFastify },
  { framework: 'a Web Response', start: startWeb },
])('The seam of replay and live, in $framework', ({ start }) => {
  it('gives each of a hundred readers that come and go exactly what was for it, in order', {
    timeout: 60_000,
  }, async () => {
    const streams = new StreamServer({ clock: systemClock })
    await using store = new MemoryEventStore({ clock: systemClock })
    await using hub = await Hub.open({ store, streams, historyMaxEvents: MAX_EVENTS })
    await using server = await start(hub)
    const seed = 20_260_101
    const random = randomFrom(seed)
    const readers = Array.from({ length: READERS }, (_, n) => ({
      user: `u${n % USERS}`,
      group: `g${Math.floor(n / USERS) % GROUPS}`,
    }))
    const reading = readers.map((reader) => readAll(server, reader, randomFrom(Math.floor(random() * 1e9))))
    // All of them are greeted before the first event: a new reader begins at the head.
    await vi.waitFor(() => expect(hub.stats().totalConnections).toBeGreaterThanOrEqual(READERS), 10_000)
    const all: number[] = []
    while (hub.stats().totalConnections < CONNECTIONS && all.length < MAX_EVENTS) {
      const n = all.length
      all.push(n)
      await hub.publish(audienceOf(n), 'e', n)
      if (n % 20 === 0) await nextTurn()
    }
    expect(hub.stats().totalConnections).toBeGreaterThanOrEqual(CONNECTIONS)
    await hub.broadcast('end', null)
    const got = await Promise.all(reading)
    for (const [index, reader] of readers.entries()) {
      const expected = all.filter((n) => isFor(reader, audienceOf(n)))
      expect(got[index], `reader ${index} of seed ${seed}`).toEqual(expected)
    }
    await vi.waitFor(() => expect(hub.count()).toBe(0))
    expect(streams.size).toBe(0)
    expect(hub.status()).toMatchObject({ totalUsers: 0, totalGroups: 0 })
  })
})
