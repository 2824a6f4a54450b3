import type { ConnectionStates, ConnectionView, DisconnectReason, HubCounts } from '@tributary/protocol'
import type { Connection } from './connection.ts'
import type { ConnectionIndex } from './connection-index.ts'
import { byAge, type ConnectionPage, type ConnectionQuery, pageOf } from './connection-page.ts'
import type { HubConnections } from './hub-connections.ts'

/** The share of this node in what a hub has: nobody else is asked. */
export class LocalHub {
  readonly nodeId: string
  readonly #connections: HubConnections
  readonly #index: ConnectionIndex

  constructor(nodeId: string, connections: HubConnections) {
    this.nodeId = nodeId
    this.#connections = connections
    this.#index = connections.index
  }

  isConnected(userId: string): boolean {
    return this.countForUser(userId) > 0
  }

  count(): number {
    return this.#index.size
  }

  countForUser(userId: string): number {
    return this.#index.ofUser(userId).size
  }

  getConnection(connectionId: string): Connection | undefined {
    return this.#index.get(connectionId)
  }

  connections(): Connection[] {
    return [...this.#index.all()]
  }

  /** Those that have been told why they end, and whose socket is not closed yet. */
  leavingConnections(): Connection[] {
    return [...this.#connections.leaving()]
  }

  connectionsOfUser(userId: string): Connection[] {
    return [...this.#index.ofUser(userId)]
  }

  connectionsOfGroup(group: string): Connection[] {
    return [...this.#index.ofGroup(group)]
  }

  /** A page of those asked for, the oldest first. */
  page(query: ConnectionQuery): ConnectionPage {
    const { connections, ...rest } = pageOf(this.#found(query).toSorted(byAge), query)
    return { ...rest, connections: connections.map((connection) => this.view(connection)) }
  }

  view(connection: Connection): ConnectionView {
    return { ...connection.view(), nodeId: this.nodeId }
  }

  /** How many are connected, by user, by group and by state; `disconnecting` ones are not among the others. */
  status(): HubCounts {
    return { ...this.#index.status(), connectionStates: this.states() }
  }

  states(): ConnectionStates {
    return this.#connections.states()
  }

  /** Ends a connection for good; `reason` is told to its reader. Answers whether there was one. */
  close(connectionId: string, reason?: string): boolean {
    const connection = this.#index.get(connectionId)
    if (connection !== undefined) this.#connections.end(connection, 'forced', reason)
    return connection !== undefined
  }

  /** Ends a user's connections for good. Answers how many there were. */
  closeUser(userId: string, reason?: string): number {
    return this.#connections.endEach(this.connectionsOfUser(userId), 'forced', reason)
  }

  /** Ends for good those that were opened with a token, or last refreshed with it. Looks at every connection. */
  closeToken(tokenId: string, reason?: string): number {
    const ofToken = this.connections().filter(({ credential }) => credential?.tokenId === tokenId)
    return this.#connections.endEach(ofToken, 'forced', reason)
  }

  /** Ends all connections. Answers how many there were. */
  closeAll(reason: DisconnectReason = 'forced', message?: string): number {
    return this.#connections.endEach(this.connections(), reason, message)
  }

  /** Sends a heartbeat to all now. Answers how many outboxes took it. */
  sendHealthCheck(): number {
    return this.#connections.beat()
  }

  #found({ user, group, state, leaving = false }: ConnectionQuery): Connection[] {
    const among =
      user === undefined
        ? group === undefined
          ? this.connections()
          : this.connectionsOfGroup(group)
        : this.connectionsOfUser(user)
    const all = leaving ? [...among, ...this.leavingConnections()] : among
    return all.filter(
      (connection) =>
        (user === undefined || connection.userId === user) &&
        (group === undefined || connection.groups.has(group)) &&
        (state === undefined || connection.state === state),
    )
  }
}
