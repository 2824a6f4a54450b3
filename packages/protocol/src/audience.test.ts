import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Audience,
  type AudienceMember,
  audienceIncludes,
  audienceTopics,
  memberTopics,
  type Where,
} from './audience.ts'

function member(fields: Partial<AudienceMember> = {}): AudienceMember {
  return { connectionId: 'c1', groups: new Set(), roles: new Set(), metadata: {}, ...fields }
}

const alice = member({
  userId: 'alice',
  sessionId: 's1',
  groups: new Set(['chat']),
  roles: new Set(['admin']),
  presence: true,
  metadata: { tenant: 'acme', level: 3, beta: true, none: null },
})
const stranger = member({ connectionId: 'c2', userId: 'bob', sessionId: 's2' })

describe('an audience', () => {
  it.each<[string, Audience]>([
    ['all', { all: true }],
    ['users', { users: ['zoe', 'alice'] }],
    ['groups', { groups: ['chat'] }],
    ['roles', { roles: ['admin'] }],
    ['sessions', { sessions: ['s1'] }],
    ['connections', { connections: ['c1'] }],
    ['presence', { presence: ['chat'] }],
    ['any one of several', { users: ['zoe'], groups: ['none'], sessions: ['s1'] }],
  ])('includes who is named by %s', (_, audience) => {
    expect(audienceIncludes(audience, alice)).toBe(true)
    if (audience.all === undefined) expect(audienceIncludes(audience, stranger)).toBe(false)
  })

  it.each<[string, Audience]>([
    ['nothing at all', {}],
    ['empty lists', { users: [], groups: [], roles: [], sessions: [], connections: [], presence: [] }],
    ['an empty `only`', { only: {} }],
    ['`only` with an empty list', { only: { user: 'alice', connections: [] } }],
    ['`where` alone', { where: { tenant: 'acme' } }],
  ])('of %s includes nobody', (_, audience) => {
    expect(audienceIncludes(audience, alice)).toBe(false)
  })

  it('does not take a name of one kind for another', () => {
    const everywhere = member({ connectionId: 'x', userId: 'x', sessionId: 'x', groups: new Set(['x']) })
    expect(audienceIncludes({ roles: ['x'] }, everywhere)).toBe(false)
    expect(audienceTopics({ roles: ['x'] }).some((topic) => memberTopics(everywhere).includes(topic))).toBe(
      false,
    )
    expect(audienceTopics({ users: ['all'] })).not.toContain('all')
  })

  it('of the presence in a group includes who is in it and asked for that', () => {
    const audience: Audience = { presence: ['chat'] }
    expect(audienceIncludes(audience, member({ groups: new Set(['chat']) }))).toBe(false)
    expect(audienceIncludes(audience, member({ presence: true, groups: new Set(['other']) }))).toBe(false)
  })

  it('finds a member in a list of thousands, and nobody else', () => {
    const users = Array.from({ length: 10_000 }, (_, i) => `user${i}`)
    expect(audienceIncludes({ users }, member({ userId: 'user9999' }))).toBe(true)
    expect(audienceIncludes({ users }, member({ userId: 'user10000' }))).toBe(false)
    expect(audienceIncludes({ users }, member())).toBe(false)
  })
})

describe('`only`', () => {
  it.each<[string, NonNullable<Audience['only']>, boolean]>([
    ['user and session', { user: 'alice', session: 's1' }, true],
    ['user and a foreign session', { user: 'alice', session: 's2' }, false],
    ['a foreign user and session', { user: 'bob', session: 's1' }, false],
    ['user and connections', { user: 'alice', connections: ['c9', 'c1'] }, true],
    ['user and foreign connections', { user: 'alice', connections: ['c2'] }, false],
    ['all three', { user: 'alice', session: 's1', connections: ['c1'] }, true],
    ['session and foreign connections', { session: 's1', connections: ['c2'] }, false],
    ['user alone', { user: 'alice' }, true],
  ])('of %s holds for all of its parts', (_, only, expected) => {
    expect(audienceIncludes({ only }, alice)).toBe(expected)
    expect(audienceIncludes({ only }, stranger)).toBe(false)
  })

  it('adds to the lists', () => {
    const audience: Audience = { groups: ['chat'], only: { user: 'bob', session: 's2' } }
    expect(audienceIncludes(audience, alice)).toBe(true)
    expect(audienceIncludes(audience, stranger)).toBe(true)
    expect(audienceIncludes(audience, { ...stranger, sessionId: 's3' })).toBe(false)
  })
})

describe('`where`', () => {
  it.each<[Where, boolean]>([
    [{}, true],
    [{ tenant: 'acme' }, true],
    [{ tenant: 'acme', level: 3, beta: true, none: null }, true],
    [{ tenant: 'other' }, false],
    [{ level: '3' }, false],
    [{ missing: null }, false],
    [{ tenant: 'acme', level: 4 }, false],
    [{ toString: 'x', constructor: 'y' }, false],
  ])('%j narrows by equality', (where, expected) => {
    expect(audienceIncludes({ all: true, where }, alice)).toBe(expected)
    expect(audienceIncludes({ users: ['alice'], where }, alice)).toBe(expected)
    expect(audienceIncludes({ users: ['bob'], where }, alice)).toBe(false)
  })
})

const name = fc.constantFrom('a', 'b', 'c', 'all', 'user:a')
const names = fc.array(name, { maxLength: 3 })
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const audiences = fc
  .record({
    all: maybe(fc.constant(true as const)),
    users: maybe(names),
    groups: maybe(names),
    roles: maybe(names),
    sessions: maybe(names),
    connections: maybe(names),
    presence: maybe(names),
    only: maybe(
      fc
        .record({ user: maybe(name), session: maybe(name), connections: maybe(names) })
        .map((only) => present<NonNullable<Audience['only']>>(only)),
    ),
    where: maybe(fc.dictionary(fc.constantFrom('k', 'l'), fc.constantFrom('v', 1, null))),
  })
  .map((audience) => present<Audience>(audience))
const members = fc.record({
  connectionId: name,
  userId: maybe(name),
  sessionId: maybe(name),
  groups: names.map((list) => new Set(list)),
  roles: names.map((list) => new Set(list)),
  presence: fc.boolean(),
  metadata: fc.dictionary(fc.constantFrom('k', 'l'), fc.constantFrom('v', 1, null)),
})

/** The same without the keys that hold nothing. */
function present<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
}

describe('topics', () => {
  it('lead to every member that an audience includes', () => {
    let included = 0
    fc.assert(
      fc.property(audiences, members, (audience, someone) => {
        if (!audienceIncludes(audience, someone)) return
        included += 1
        const theirs = new Set(memberTopics(someone))
        expect(audienceTopics(audience).some((topic) => theirs.has(topic))).toBe(true)
      }),
      { numRuns: 5_000 },
    )
    expect(included).toBeGreaterThan(500)
  })

  it('are each named once', () => {
    fc.assert(
      fc.property(audiences, (audience) => {
        const topics = audienceTopics(audience)
        expect(new Set(topics).size).toBe(topics.length)
      }),
    )
  })
})
