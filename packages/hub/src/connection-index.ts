import {
  ALL_TOPIC,
  connectionOfTopic,
  groupTopic,
  type HubCounts,
  sharedTopics,
  type Topic,
  userTopic,
} from '@tributary/protocol'
import type { Connection } from './connection.ts'

const NOBODY: ReadonlySet<Connection> = new Set()

/** The open connections, by id and by topic. */
export class ConnectionIndex {
  readonly #byId = new Map<string, Connection>()
  readonly #byTopic = new Map<Topic, Set<Connection>>()
  // Those that are no connections of anybody.
  readonly #guests = new Set<Connection>()

  get size(): number {
    return this.#byId.size
  }

  /** The topics that some connection is under, but its own and that of all. */
  get topicCount(): number {
    return this.#byTopic.size
  }

  get(connectionId: string): Connection | undefined {
    return this.#byId.get(connectionId)
  }

  all(): IterableIterator<Connection> {
    return this.#byId.values()
  }

  /** The connections that are under a topic now. */
  under(topic: Topic): Iterable<Connection> {
    if (topic === ALL_TOPIC) return this.all()
    const connectionId = connectionOfTopic(topic)
    if (connectionId === undefined) return this.#of(topic)
    const connection = this.#byId.get(connectionId)
    return connection === undefined ? NOBODY : [connection]
  }

  ofUser(userId: string): ReadonlySet<Connection> {
    return this.#of(userTopic(userId))
  }

  ofGroup(group: string): ReadonlySet<Connection> {
    return this.#of(groupTopic(group))
  }

  add(connection: Connection): void {
    this.#byId.set(connection.connectionId, connection)
    for (const topic of sharedTopics(connection)) this.#put(topic, connection)
  }

  /** Removes this connection, not another that has taken its id. */
  remove(connection: Connection): void {
    if (this.#byId.get(connection.connectionId) === connection) this.#byId.delete(connection.connectionId)
    for (const topic of sharedTopics(connection)) this.#take(topic, connection)
  }

  /** Changes what a connection is found by. Where that stays, so does its place among the others. */
  change(connection: Connection, change: () => void): void {
    const before = new Set(sharedTopics(connection))
    change()
    const after = new Set(sharedTopics(connection))
    for (const topic of before) if (!after.has(topic)) this.#take(topic, connection)
    for (const topic of after) if (!before.has(topic)) this.#put(topic, connection)
  }

  join(connection: Connection, group: string): void {
    this.change(connection, () => connection.addGroup(group))
  }

  leave(connection: Connection, group: string): void {
    this.change(connection, () => connection.removeGroup(group))
  }

  /** Puts one that is no connection of anybody under this topic alone: it is found by that, and counted nowhere. */
  addUnder(topic: Topic, connection: Connection): void {
    this.#guests.add(connection)
    this.#put(topic, connection)
  }

  removeUnder(topic: Topic, connection: Connection): void {
    this.#guests.delete(connection)
    this.#take(topic, connection)
  }

  /** Each connection under each topic, but those that are nobody's: for who looks whether that is right. */
  *entries(): Iterable<readonly [Topic, Connection]> {
    for (const [topic, connections] of this.#byTopic) {
      for (const connection of connections) if (!this.#guests.has(connection)) yield [topic, connection]
    }
  }

  /** Puts a connection that is open under all of its topics, where it is missing. */
  restore(connection: Connection): void {
    if (this.#byId.get(connection.connectionId) !== connection) return
    for (const topic of sharedTopics(connection)) this.#put(topic, connection)
  }

  status(): Omit<HubCounts, 'connectionStates'> {
    const byUser = this.#sizesUnder(userTopic(''))
    const byGroup = this.#sizesUnder(groupTopic(''))
    return {
      totalEmitters: this.size,
      totalUsers: byUser.length,
      totalGroups: byGroup.length,
      emittersByUser: Object.fromEntries(byUser),
      emittersByGroup: Object.fromEntries(byGroup),
    }
  }

  /** How many are under each of the topics that begin so, by the rest of their names. */
  #sizesUnder(prefix: Topic): [name: string, size: number][] {
    return [...this.#byTopic]
      .filter(([topic]) => topic.startsWith(prefix))
      .map(([topic, connections]) => [topic.slice(prefix.length), connections.size])
  }

  #of(topic: Topic): ReadonlySet<Connection> {
    return this.#byTopic.get(topic) ?? NOBODY
  }

  #put(topic: Topic, connection: Connection): void {
    let connections = this.#byTopic.get(topic)
    if (connections === undefined) {
      connections = new Set()
      this.#byTopic.set(topic, connections)
    }
    connections.add(connection)
  }

  #take(topic: Topic, connection: Connection): void {
    const connections = this.#byTopic.get(topic)
    if (connections?.delete(connection) && connections.size === 0) this.#byTopic.delete(topic)
  }
}
