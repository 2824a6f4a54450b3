import { describe, expect, it } from 'vitest'
import type {
  Announcement,
  ConnectionEntry,
  ConnectionLimits,
  ConnectionRegistry,
  PresenceRules,
} from '../src/registry/connection-registry.ts'

/** Two nodes' views of one registry, which nobody else uses. Of one process both are the same. */
export interface RegistryPair {
  readonly here: ConnectionRegistry
  readonly there: ConnectionRegistry
}

export type OpenRegistries = (rules: PresenceRules) => Promise<RegistryPair>

const NO_LIMITS: ConnectionLimits = { maxPerUser: 0, maxTotal: 0, policy: 'reject', duplicate: 'refuse' }
/** Who is gone has left at once. */
const AT_ONCE: PresenceRules = { graceMs: 0, announceAll: true }
/** Who is gone may come back for as long as a test lasts. */
const LATER: PresenceRules = { graceMs: 600_000, announceAll: true }
const HOUR_MS = 3_600_000

let tokens = 0

function entry(connectionId: string, fields: Partial<ConnectionEntry> = {}): ConnectionEntry {
  tokens += 1
  return { connectionId, token: `t${tokens}`, nodeId: 'n1', groups: [], ...fields }
}

const told = (announcements: readonly Announcement[]) =>
  announcements.map(({ kind, group, userId }) => `${kind} ${group} ${userId}`)
const idsOf = (entries: readonly ConnectionEntry[]) => entries.map(({ connectionId }) => connectionId)

/** What any registry does. */
export function registryContract(name: string, open: OpenRegistries): void {
  describe(`${name}: connections`, () => {
    it('are found by id, user and node, and counted, until they are removed', async () => {
      const { here, there } = await open(LATER)
      const a = entry('a', { userId: 'ann', groups: ['g', 'h'] })
      const b = entry('b', { userId: 'ann', groups: ['g'], nodeId: 'n2', shown: '{"name":"Ann"}' })
      const c = entry('c')
      for (const one of [a, b, c]) {
        expect(await here.register(one, { limits: NO_LIMITS })).toMatchObject({ ok: true, displaced: [] })
      }
      expect(await there.find('b')).toEqual(b)
      expect(await there.find('d')).toBeUndefined()
      expect(idsOf(await there.ofUser('ann')).toSorted()).toEqual(['a', 'b'])
      expect(idsOf((await there.ofNode('n2', { limit: 10 })).entries)).toEqual(['b'])
      expect(await there.count()).toBe(3)
      expect(await there.countOfGroup('g')).toBe(2)
      expect(await there.counts()).toEqual({ total: 3, byUser: { ann: 2 }, byGroup: { g: 2, h: 1 } })
      await there.remove([a, b, c])
      await there.remove([a])
      expect(await here.counts()).toEqual({ total: 0, byUser: {}, byGroup: {} })
      expect(await here.ofUser('ann')).toEqual([])
      expect((await here.ofNode('n1', { limit: 10 })).entries).toEqual([])
    })

    it('are refused where the id is taken, also at another node, and nothing has changed', async () => {
      const { here, there } = await open(LATER)
      const first = entry('a', { userId: 'ann', groups: ['g'] })
      await here.register(first, { limits: NO_LIMITS })
      const second = entry('a', { userId: 'bob', groups: ['h'], nodeId: 'n2' })
      const refused = await there.register(second, { limits: NO_LIMITS })
      expect(refused).toEqual({ ok: false, reason: 'exists', holders: [first] })
      await there.remove([second])
      expect(await here.find('a')).toEqual(first)
      expect(await here.counts()).toEqual({ total: 1, byUser: { ann: 1 }, byGroup: { g: 1 } })
    })

    it('take the place of one of the same id where that is wanted, and its end does not end them', async () => {
      const { here, there } = await open(LATER)
      const limits = { ...NO_LIMITS, duplicate: 'replace' } as const
      const first = entry('a', { userId: 'ann', groups: ['g'] })
      const second = entry('a', { userId: 'ann', nodeId: 'n2' })
      await here.register(first, { limits })
      expect(await there.register(second, { limits })).toMatchObject({ ok: true, displaced: [first] })
      await here.remove([first])
      expect(await here.find('a')).toEqual(second)
      expect(await here.counts()).toEqual({ total: 1, byUser: { ann: 1 }, byGroup: {} })
    })

    it('of one user are limited over all nodes, however many come at once', async () => {
      const { here, there } = await open(LATER)
      const limits = { ...NO_LIMITS, maxPerUser: 3 }
      const all = Array.from({ length: 20 }, (_, i) => entry(`c${i}`, { userId: 'ann', nodeId: `n${i % 2}` }))
      const answers = await Promise.all(
        all.map((one, i) => (i % 2 === 0 ? here : there).register(one, { limits })),
      )
      expect(answers.filter(({ ok }) => ok)).toHaveLength(3)
      expect(answers.find(({ ok }) => !ok)).toMatchObject({ reason: 'user_limit', holders: { length: 3 } })
      expect(await here.register(entry('b', { userId: 'bob' }), { limits })).toMatchObject({ ok: true })
      expect(await here.register(entry('nobody'), { limits })).toMatchObject({ ok: true })
      expect(await there.count()).toBe(5)
    })

    it('of one user end for a new one, the oldest first, where that is wanted', async () => {
      const { here, there } = await open(LATER)
      const limits = { ...NO_LIMITS, maxPerUser: 2, policy: 'replace' } as const
      const [a, b, c] = ['a', 'b', 'c'].map((id) => entry(id, { userId: 'ann', nodeId: `n-${id}` }))
      if (a === undefined || b === undefined || c === undefined) throw new Error('there are three')
      await here.register(a, { limits })
      await new Promise((resolve) => setTimeout(resolve, 2))
      await here.register(b, { limits })
      expect(await there.register(c, { limits })).toMatchObject({ ok: true, displaced: [a] })
      expect(idsOf(await here.ofUser('ann'))).toEqual(['b', 'c'])
    })

    it('of a node that does not answer count for nothing where that is said', async () => {
      const { here, there } = await open(LATER)
      const limits = { ...NO_LIMITS, maxPerUser: 1 }
      await here.register(entry('a', { userId: 'ann', nodeId: 'dead' }), { limits })
      const again = entry('a', { userId: 'ann', nodeId: 'n2' })
      expect(await there.register(again, { limits })).toMatchObject({ ok: false, reason: 'exists' })
      const taken = await there.register(again, { limits, ignoring: ['dead'] })
      expect(taken).toMatchObject({ ok: true, displaced: { length: 1 } })
    })

    it('are limited in all, and one that ends makes room', async () => {
      const { here, there } = await open(LATER)
      const limits = { ...NO_LIMITS, maxTotal: 2 }
      const [a, b] = [entry('a'), entry('b', { userId: 'ann' })]
      await here.register(a, { limits })
      await here.register(b, { limits })
      expect(await there.register(entry('c'), { limits })).toEqual({ ok: false, reason: 'total_limit' })
      await here.remove([a])
      expect(await there.register(entry('c'), { limits })).toMatchObject({ ok: true })
    })

    it('are registered again beyond all limits, and those that are there stay as they are', async () => {
      const { here, there } = await open(LATER)
      const limits = { ...NO_LIMITS, maxTotal: 1 }
      const a = entry('a', { userId: 'ann', groups: ['g'] })
      await here.register(a, { limits })
      const b = entry('b', { userId: 'ann', groups: ['g'] })
      await there.restore([a, b])
      await there.restore([a, b])
      expect(await here.counts()).toEqual({ total: 2, byUser: { ann: 2 }, byGroup: { g: 2 } })
    })

    it('of a node are all found, a page at a time', async () => {
      const { here } = await open(LATER)
      const ids = Array.from({ length: 700 }, (_, i) => `c${i}`)
      await here.restore(ids.map((id) => entry(id)))
      const found = new Set<string>()
      let after: string | undefined
      do {
        const page = await here.ofNode('n1', { limit: 50, ...(after === undefined ? {} : { after }) })
        for (const one of page.entries) found.add(one.connectionId)
        after = page.next
      } while (after !== undefined)
      expect([...found].toSorted()).toEqual(ids.toSorted())
    })

    it('bear names of any kind', async () => {
      const { here, there } = await open(AT_ONCE)
      const names = ['a:b', '3:abc', '{x}', 'ünï 🎈', '"quoted" \\ /', '%d', '0']
      for (const [i, name] of names.entries()) {
        const one = entry(`c-${name}`, {
          userId: name,
          groups: [name, `${i}`],
          nodeId: name,
          shown: JSON.stringify({ name }),
        })
        const { ok, announcements } = {
          announcements: [],
          ...(await here.register(one, { limits: NO_LIMITS })),
        }
        expect([ok, told(announcements)]).toEqual([true, [`join ${name} ${name}`, `join ${i} ${name}`]])
        await here.acknowledge(announcements)
        expect(await there.find(one.connectionId)).toEqual(one)
        expect((await there.members(name, { limit: 10 })).members).toMatchObject([
          { userId: name, metadata: { name } },
        ])
        await there.remove([one])
        const due = await here.due()
        expect(told(due.announcements).toSorted()).toEqual(
          [`leave ${name} ${name}`, `leave ${i} ${name}`].toSorted(),
        )
        await here.acknowledge(due.announcements)
      }
    })
  })

  describe(`${name}: presence`, () => {
    const register = async (registry: ConnectionRegistry, one: ConnectionEntry) => {
      const answer = await registry.register(one, { limits: NO_LIMITS })
      if (!answer.ok) throw new Error('it is refused')
      await registry.acknowledge(answer.announcements)
      return told(answer.announcements)
    }
    const due = async (registry: ConnectionRegistry) => {
      const { announcements } = await registry.due()
      await registry.acknowledge(announcements)
      return told(announcements)
    }

    it('begins with the first connection of a user and ends with the last, wherever they are', async () => {
      const { here, there } = await open(AT_ONCE)
      const [a, b] = [
        entry('a', { userId: 'ann', groups: ['g'] }),
        entry('b', { userId: 'ann', groups: ['g'], nodeId: 'n2' }),
      ]
      expect(await register(here, a)).toEqual(['join g ann'])
      expect(await register(there, b)).toEqual([])
      const { members, userCount } = await here.members('g', { limit: 10 })
      expect([userCount, members]).toMatchObject([1, [{ userId: 'ann', connectionCount: 2 }]])
      expect(await there.userSince('ann')).toBeGreaterThan(0)
      await here.remove([a])
      expect(await due(here)).toEqual([])
      await there.remove([b])
      expect(await due(here)).toEqual(['leave g ann'])
      expect(await due(there)).toEqual([])
      expect(await here.members('g', { limit: 10 })).toEqual({ userCount: 0, members: [] })
      expect(await here.userSince('ann')).toBeUndefined()
    })

    it('goes on where he comes back in time', async () => {
      const { here, there } = await open(LATER)
      const first = entry('a', { userId: 'ann', groups: ['g'] })
      await register(here, first)
      const [before] = (await here.members('g', { limit: 10 })).members
      await here.remove([first])
      expect(await here.members('g', { limit: 10 })).toMatchObject({
        userCount: 1,
        members: [{ connectionCount: 0 }],
      })
      expect(await register(there, entry('b', { userId: 'ann', groups: ['g'] }))).toEqual([])
      expect(await due(there)).toEqual([])
      const [after] = (await there.members('g', { limit: 10 })).members
      expect(after).toEqual(before)
    })

    it('follows the groups that a connection joins and leaves', async () => {
      const { here, there } = await open(AT_ONCE)
      const a = entry('a', { userId: 'ann', groups: ['g'] })
      await register(here, a)
      const joined = await there.move(a, { join: ['h', 'g'], leave: ['none'] })
      await there.acknowledge(joined)
      expect(told(joined)).toEqual(['join h ann'])
      expect((await here.find('a'))?.groups).toEqual(['g', 'h'])
      expect(await there.move(a, { join: [], leave: ['g'] })).toEqual([])
      expect(await due(there)).toEqual(['leave g ann'])
      expect((await here.counts()).byGroup).toEqual({ h: 1 })
      expect(await here.move({ ...a, token: 'another' }, { join: ['i'], leave: [] })).toEqual([])
    })

    it('is told to one node, which tells it once more if it is not acknowledged', async () => {
      const { here, there } = await open({ ...AT_ONCE, claimMs: 0 })
      const a = entry('a', { userId: 'ann', groups: ['g'] })
      const answer = await here.register(a, { limits: NO_LIMITS })
      const again = await there.due()
      expect(told(again.announcements)).toEqual(['join g ann'])
      expect(again.announcements).toEqual(answer.ok ? answer.announcements : [])
      await there.acknowledge(again.announcements)
      expect(await here.due()).toMatchObject({ announcements: [] })
    })

    it('is told in order: what comes after waits until what was before is acknowledged', async () => {
      const { here, there } = await open(AT_ONCE)
      const a = entry('a', { userId: 'ann', groups: ['g'] })
      const joined = await here.register(a, { limits: NO_LIMITS })
      await here.remove([a])
      // The join is in the hands of another; the leave waits behind it.
      expect(told((await there.due()).announcements)).toEqual([])
      const next = await here.acknowledge(joined.ok ? joined.announcements : [])
      const left = next.length > 0 ? next : (await there.due()).announcements
      expect(told(left)).toEqual(['leave g ann'])
      const back = await there.register(entry('b', { userId: 'ann', groups: ['g'] }), { limits: NO_LIMITS })
      expect(back).toMatchObject({ ok: true, announcements: [] })
      const then = await here.acknowledge(left)
      expect(told(then)).toEqual(['join g ann'])
      expect(then[0]?.stayId).not.toBe(left[0]?.stayId)
      await here.acknowledge(then)
      expect(await there.members('g', { limit: 10 })).toMatchObject({ userCount: 1 })
    })

    it('is told to nobody where nobody watches, and from then on where somebody does', async () => {
      const { here, there } = await open({ graceMs: 0, announceAll: false })
      const a = entry('a', { userId: 'ann', groups: ['g', 'h'] })
      expect(await register(here, a)).toEqual([])
      await there.watch(['g'], HOUR_MS)
      expect(await register(here, entry('b', { userId: 'bob', groups: ['g', 'h'] }))).toEqual(['join g bob'])
      await here.remove([a])
      expect(await due(here)).toEqual(['leave g ann'])
      expect(await here.members('h', { limit: 10 })).toMatchObject({
        userCount: 1,
        members: [{ userId: 'bob' }],
      })
    })

    it('is watched from the very registration that asks for it', async () => {
      const { here, there } = await open({ graceMs: 0, announceAll: false })
      const c = entry('c', { userId: 'cat', groups: ['g'] })
      const answer = await here.register(c, { limits: NO_LIMITS, watchMs: HOUR_MS })
      expect(answer).toMatchObject({ ok: true, announcements: [{ kind: 'join', userId: 'cat' }] })
      const moved = await there.move(c, { join: ['h'], leave: [], watchMs: HOUR_MS })
      expect(told(moved)).toEqual(['join h cat'])
    })

    it('lists who is in a group by name, a page at a time', async () => {
      const { here, there } = await open(LATER)
      const names = Array.from({ length: 25 }, (_, i) => `u${String(i).padStart(2, '0')}`)
      await here.restore(names.map((userId) => entry(`c-${userId}`, { userId, groups: ['g'] })))
      const first = await there.members('g', { limit: 10 })
      const second = await there.members('g', { limit: 10, after: first.next ?? '' })
      const third = await there.members('g', { limit: 10, after: second.next ?? '' })
      expect([first, second, third].map(({ userCount }) => userCount)).toEqual([25, 25, 25])
      expect([first, second, third].flatMap(({ members }) => members.map(({ userId }) => userId))).toEqual(
        names,
      )
      expect(third.next).toBeUndefined()
    })

    it('says when to ask again', async () => {
      const { here } = await open({ graceMs: 60_000, announceAll: true })
      expect(await here.due()).toEqual({ announcements: [] })
      const a = entry('a', { userId: 'ann', groups: ['g'] })
      await register(here, a)
      await here.remove([a])
      const { announcements, nextInMs = 0 } = await here.due()
      expect(announcements).toEqual([])
      expect(nextInMs).toBeGreaterThan(0)
      expect(nextInMs).toBeLessThanOrEqual(60_000)
    })

    it('holds when many come and go at once: as many leaves as joins, and nobody is left', async () => {
      const { here, there } = await open(AT_ONCE)
      const counts = { join: 0, leave: 0 }
      const count = async (registry: ConnectionRegistry, announcements: readonly Announcement[]) => {
        for (let pending = announcements; pending.length > 0; pending = await registry.acknowledge(pending)) {
          for (const { kind } of pending) counts[kind] += 1
        }
      }
      const comeAndGo = async (i: number) => {
        const registry = i % 2 === 0 ? here : there
        const one = entry(`c${i}`, { userId: `u${i % 5}`, groups: ['g', `g${i % 3}`], nodeId: `n${i % 2}` })
        const answer = await registry.register(one, { limits: NO_LIMITS })
        if (answer.ok) await count(registry, answer.announcements)
        await registry.remove([one])
        await count(registry, (await registry.due()).announcements)
      }
      for (let round = 0; round < 10; round++) {
        await Promise.all(Array.from({ length: 30 }, (_, i) => comeAndGo(i)))
      }
      for (let due = await here.due(); due.announcements.length > 0; due = await here.due()) {
        await count(here, due.announcements)
      }
      expect(counts.join).toBeGreaterThan(0)
      expect(counts.leave).toBe(counts.join)
      expect(await here.counts()).toEqual({ total: 0, byUser: {}, byGroup: {} })
      expect(await here.members('g', { limit: 10 })).toEqual({ userCount: 0, members: [] })
    })
  })
}
