import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Audience } from '@tributary/protocol'
import { EventCollector } from '@tributary/testkit'
import { expect, vi } from 'vitest'
import type { Hub } from '../src/hub.ts'
import type { HubServer } from './servers.ts'

const READERS = 200
const USERS = 10
const GROUPS = 5
/** Events are published until readers have come this often. */
const CONNECTIONS = 600
/** And no more than this, should they not. */
export const MAX_EVENTS = 50_000
/** A reader leaves after at most so many events. */
const MAX_STAY = 200
/** Publishes that are under way at a time, at most. */
const MAX_BURST = 8

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

/** What one coming of a reader brought, and where it is then. */
interface Stay {
  readonly events: readonly { readonly type: string; readonly data: unknown }[]
  readonly cursor: string | undefined
}

type Random = () => number

function oneOf<T>(all: readonly T[], random: Random): T {
  const one = all[Math.floor(random() * all.length)]
  if (one === undefined) throw new Error('there is none')
  return one
}

async function stream(
  server: HubServer,
  query: string,
  cursor: string | undefined,
  random: Random,
): Promise<Stay> {
  const timeout = random() < 0.2 ? `&timeout=${1 + Math.floor(random() * 200)}` : ''
  const reader = await EventCollector.open(
    `${server.url}/stream?${query}${timeout}`,
    cursor === undefined ? {} : { headers: { 'last-event-id': cursor } },
  )
  const stay = Math.floor(random() * MAX_STAY)
  // A rotation ends the stream from the other side.
  const left = reader.waitFor(({ type }) => type === 'end' || reader.events.length > stay)
  await Promise.race([left.catch(() => undefined), reader.ended])
  await reader.close()
  expect(reader.ofType('gap')).toEqual([])
  return { events: reader.events, cursor: reader.lastEventId ?? cursor }
}

async function poll(server: HubServer, query: string, cursor: string, random: Random): Promise<Stay> {
  const limit = 1 + Math.floor(random() * MAX_STAY)
  const answer = await fetch(`${server.url}/poll?${query}&since=${cursor}&limit=${limit}&wait=20`)
  const page = (await answer.json()) as Stay & { gap?: unknown }
  expect(page.gap).toBeUndefined()
  return page
}

/** Reads until the last event, leaving and coming back on the way, now to a stream, now to a poll; all that came. */
async function readAll(
  servers: readonly HubServer[],
  { user, group }: Reader,
  random: Random,
): Promise<number[]> {
  const got: number[] = []
  const query = `user=${user}&group=${group}`
  let cursor: string | undefined
  for (;;) {
    const server = oneOf(servers, random)
    const stay: Stay =
      cursor === undefined || random() < 0.7
        ? await stream(server, query, cursor, random)
        : await poll(server, query, cursor, random)
    const { events } = stay
    got.push(...events.filter(({ type }) => type === 'e').map(({ data }) => data as number))
    cursor = stay.cursor
    if (events.some(({ type }) => type === 'end')) return got
  }
}

/** Nodes of one log: each a hub, and what it is reached by. */
export interface SeamNodes {
  readonly hubs: readonly Hub[]
  readonly servers: readonly HubServer[]
}

/** Readers come and go at all nodes while all nodes publish. Each reader is to get exactly what is for it, in order. */
export async function playSeam({ hubs, servers }: SeamNodes): Promise<void> {
  const seed = 20_260_101
  const random = randomFrom(seed)
  const readers = Array.from({ length: READERS }, (_, n) => ({
    user: `u${n % USERS}`,
    group: `g${Math.floor(n / USERS) % GROUPS}`,
  }))
  const opened = () => hubs.reduce((sum, hub) => sum + hub.stats().totalConnections, 0)
  const reading = readers.map((reader) => readAll(servers, reader, randomFrom(Math.floor(random() * 1e9))))
  // All of them are greeted before the first event: a new reader begins at the head.
  await vi.waitFor(() => expect(opened()).toBeGreaterThanOrEqual(READERS), 30_000)
  const published: { id: string; n: number }[] = []
  let count = 0
  while (opened() < CONNECTIONS && count < MAX_EVENTS) {
    const burst = Array.from({ length: 1 + Math.floor(random() * MAX_BURST) }, () => count++)
    await Promise.all(
      burst.map(async (n) => {
        const { id } = await oneOf(hubs, random).publish(audienceOf(n), 'e', n)
        published.push({ id: id ?? '', n })
      }),
    )
    if (random() < 0.25) await nextTurn()
  }
  expect(opened()).toBeGreaterThanOrEqual(CONNECTIONS)
  await oneOf(hubs, random).broadcast('end', null)
  const got = await Promise.all(reading)
  // In the order of the log, which is that of the numbers, whoever published.
  const all = published.toSorted((a, b) => numberOf(a.id) - numberOf(b.id)).map(({ n }) => n)
  for (const [index, reader] of readers.entries()) {
    const expected = all.filter((n) => isFor(reader, audienceOf(n)))
    expect(got[index], `reader ${index} of seed ${seed}`).toEqual(expected)
  }
  for (const hub of hubs) {
    await vi.waitFor(() => expect(hub.local.count()).toBe(0))
    expect(hub.stats().waitingPolls).toBe(0)
  }
}

const numberOf = (id: string) => Number(id.split('-').at(-1))
