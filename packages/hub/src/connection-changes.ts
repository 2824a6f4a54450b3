import { groupTopic, presenceTopic, requireWholeText, sharedTopics, type Topic } from '@tributary/protocol'
import type { StreamServer } from '@tributary/sse'
import type { Connection, ConnectionRights } from './connection.ts'
import type { ConnectionIndex } from './connection-index.ts'
import type { Registrations } from './registrations.ts'

export interface ConnectionChangesOptions {
  readonly index: ConnectionIndex
  readonly streams: StreamServer
  readonly registrations: Registrations
}

/** Changes on open streams which groups they are in, and what they may. */
export class ConnectionChanges {
  readonly #index: ConnectionIndex
  readonly #streams: StreamServer
  readonly #registrations: Registrations

  constructor({ index, streams, registrations }: ConnectionChangesOptions) {
    this.#index = index
    this.#streams = streams
    this.#registrations = registrations
  }

  /** Puts it into a group, once what is for that is heard of. Answers whether it is there still. */
  async join(connection: Connection, group: string): Promise<boolean> {
    const topics = topicsOf(connection, group)
    requireWholeText(topics)
    await Promise.all(topics.map((topic) => connection.followed?.add(topic)))
    if (this.#index.get(connection.connectionId) !== connection) return false
    if (connection.groups.has(group)) return true
    this.#index.join(connection, group)
    await this.#registrations.move(connection, { join: [group], leave: [] })
    return true
  }

  async leave(connection: Connection, group: string): Promise<void> {
    if (!connection.groups.has(group)) return
    this.#index.leave(connection, group)
    for (const topic of topicsOf(connection, group)) connection.followed?.remove(topic)
    await this.#registrations.move(connection, { join: [], leave: [group] })
  }

  /**
   * Gives it other rights. What it is not to have any more it does not get from here on, also in a replay; resolves
   * once it gets what is new to it.
   */
  async refresh(connection: Connection, rights: ConnectionRights): Promise<void> {
    requireWholeText(rights.roles ?? [])
    const before = [...connection.groups]
    this.#index.change(connection, () => connection.setRights(rights))
    const leave = before.filter((group) => !connection.groups.has(group))
    if (leave.length > 0) await this.#registrations.move(connection, { join: [], leave })
    if (connection.stream !== undefined) this.#streams.renew(connection.stream, connection.credential)
    for (const topic of sharedTopics(connection)) {
      const followed = connection.followed?.add(topic)
      if (followed !== undefined) await followed
    }
  }
}

/** What is for who is in a group. */
function topicsOf(connection: Connection, group: string): Topic[] {
  return [groupTopic(group), ...(connection.presence ? [presenceTopic(group)] : [])]
}
