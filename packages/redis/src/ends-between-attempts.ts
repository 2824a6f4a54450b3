import type { RedisClient } from './connection-options.ts'

/**
 * Has a client end also where it is told to between two attempts to connect. There ioredis has nothing to close: it tells
 * no end, and what waits to be sent waits for ever, and with it BullMQ, whose workers wait for both when they close.
 */
export function endsBetweenAttempts<T extends RedisClient>(client: T): T {
  const disconnect = client.disconnect.bind(client)
  client.disconnect = (reconnect = false) => {
    // As one whose first attempt has not begun, which does end.
    if (client.status === 'reconnecting' && !reconnect) client.status = 'wait'
    disconnect(reconnect)
  }
  return client
}
