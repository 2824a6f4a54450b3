import { RedisConnections, type RedisConnectionsInit, type RedisNotice } from '@tributary/redis'

/** Connections, and all that they said. */
export async function openNoticed(init: RedisConnectionsInit) {
  const notices: RedisNotice[] = []
  const redis = await RedisConnections.open({ ...init, onNotice: (notice) => notices.push(notice) })
  return { redis, notices, messages: () => notices.map(({ message }) => message) }
}

/** Resolves with the next time that it is so. */
export const nextUp = (redis: RedisConnections) => next((done) => redis.onUp(done))
export const nextDown = (redis: RedisConnections) => next<string>((done) => redis.onDown(done))
export const nextInterruption = (redis: RedisConnections) =>
  next<readonly string[]>((done) => redis.subscriptions.onInterrupted(done))

function next<T = void>(listen: (done: (value: T) => void) => () => void): Promise<T> {
  return new Promise((resolve) => {
    const end = listen((value) => {
      end()
      resolve(value)
    })
  })
}
