import { memberTopics } from '@tributary/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Connection } from './connection.ts'
import { ConnectionIndex } from './connection-index.ts'
import { NO_TIMES } from './connection-state.ts'

// Few of each, so that they meet; and names that a map made of an object would stumble over.
const name = fc.constantFrom('a', 'b', '__proto__', 'constructor', 'user:a', ' ', '🦊', 'a\nb')
const open = fc.record(
  {
    id: name,
    userId: fc.option(name, { nil: undefined }),
    sessionId: fc.option(name, { nil: undefined }),
    groups: fc.array(name),
    roles: fc.array(name),
  },
  { requiredKeys: ['id', 'groups', 'roles'] },
)

class Model {
  readonly index = new ConnectionIndex()
  readonly open: Connection[] = []

  connect(connection: Connection): void {
    const same = this.open.findIndex(({ connectionId }) => connectionId === connection.connectionId)
    this.open.push(connection)
    this.index.add(connection)
    // As the hub does where a second of the same id replaces the first, in whichever order.
    if (same >= 0) this.disconnect(same)
  }

  disconnect(at: number): void {
    const [connection] = this.open.splice(at, 1)
    if (connection === undefined) return
    this.index.remove(connection)
    this.index.remove(connection)
  }

  check(): void {
    const { index, open } = this
    expect(index.size).toBe(open.length)
    expect([...index.all()].sort(byId)).toEqual([...open].sort(byId))
    for (const connection of open) {
      expect(index.get(connection.connectionId)).toBe(connection)
      for (const topic of memberTopics(connection)) expect([...index.under(topic)]).toContain(connection)
    }
    const users = new Set(open.flatMap(({ userId }) => userId ?? []))
    const groups = new Set(open.flatMap(({ groups }) => [...groups]))
    const { totalEmitters, totalUsers, totalGroups, emittersByUser, emittersByGroup } = index.status()
    expect({ totalEmitters, totalUsers, totalGroups }).toEqual({
      totalEmitters: open.length,
      totalUsers: users.size,
      totalGroups: groups.size,
    })
    for (const user of users) {
      expect(new Map(Object.entries(emittersByUser)).get(user)).toBe(
        open.filter(({ userId }) => userId === user).length,
      )
    }
    for (const group of groups) {
      expect(new Map(Object.entries(emittersByGroup)).get(group)).toBe(
        open.filter(({ groups }) => groups.has(group)).length,
      )
    }
    const shared = open.flatMap(memberTopics).filter((topic) => !/^(all$|connection:)/.test(topic))
    expect(index.topicCount).toBe(new Set(shared).size)
  }
}

const byId = (a: Connection, b: Connection) => (a.connectionId < b.connectionId ? -1 : 1)

/** What is done to the model; `at` picks one of the connections that are open. */
const step = fc.oneof(
  open.map((options) => (model: Model) => {
    const { id, userId, sessionId, groups, roles } = options
    model.connect(
      new Connection(
        id,
        { groups, roles, ...(userId === undefined ? {} : { userId }), ...(sessionId ? { sessionId } : {}) },
        NO_TIMES,
      ),
    )
  }),
  fc.nat().map((at) => (model: Model) => model.disconnect(at % Math.max(1, model.open.length))),
  fc.tuple(fc.nat(), name).map(([at, group]) => (model: Model) => {
    const connection = model.open[at % Math.max(1, model.open.length)]
    if (connection !== undefined) model.index.join(connection, group)
  }),
  fc.tuple(fc.nat(), name).map(([at, group]) => (model: Model) => {
    const connection = model.open[at % Math.max(1, model.open.length)]
    if (connection !== undefined) model.index.leave(connection, group)
  }),
)

describe('ConnectionIndex', () => {
  it('agrees with a plain list at every step, and is empty when all have gone', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const model = new Model()
        for (const act of steps) {
          act(model)
          model.check()
        }
        while (model.open.length > 0) model.disconnect(0)
        model.check()
        expect(model.index.topicCount).toBe(0)
      }),
    )
  })

  it('keeps the connection that has taken the id of one that is removed', () => {
    const index = new ConnectionIndex()
    const first = new Connection('c', { userId: 'a' }, NO_TIMES)
    const second = new Connection('c', { userId: 'a' }, NO_TIMES)
    index.add(first)
    index.add(second)
    index.remove(first)
    expect(index.get('c')).toBe(second)
    expect([...index.ofUser('a')]).toEqual([second])
    index.remove(second)
    expect(index.topicCount).toBe(0)
  })
})
