import type { Audience, Where } from '@tributary/protocol'
import type { SendOptions } from './hub-options.ts'
import type { SendReceipt } from './publisher.ts'

/** The ways to say whom an event is for. Each is a `publish`, and throws what that does. */
export abstract class HubSends {
  /** Appends an event for an audience, and hands it to whom it is for. */
  abstract publish(
    audience: Audience,
    type: string,
    data: unknown,
    options?: SendOptions,
  ): Promise<SendReceipt>

  sendToUser(userId: string, event: string, data: unknown, options?: SendOptions): Promise<SendReceipt> {
    return this.publish({ users: [userId] }, event, data, options)
  }

  /** Sends to every connection of a group. */
  sendToGroup(group: string, event: string, data: unknown, options?: SendOptions): Promise<SendReceipt> {
    return this.publish({ groups: [group] }, event, data, options)
  }

  sendToSession(
    sessionId: string,
    event: string,
    data: unknown,
    options?: SendOptions,
  ): Promise<SendReceipt> {
    return this.publish({ sessions: [sessionId] }, event, data, options)
  }

  sendToConnection(id: string, event: string, data: unknown, options?: SendOptions): Promise<SendReceipt> {
    return this.publish({ connections: [id] }, event, data, options)
  }

  /** Sends to every connection whose metadata holds what `where` names. */
  sendFiltered(where: Where, event: string, data: unknown, options?: SendOptions): Promise<SendReceipt> {
    return this.publish({ all: true, where }, event, data, options)
  }

  /** Sends to all. */
  broadcast(event: string, data: unknown, options?: SendOptions): Promise<SendReceipt> {
    return this.publish({ all: true }, event, data, options)
  }
}
