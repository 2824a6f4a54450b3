import { RedisConnections, type RedisConnectionsInit } from '@tributary/redis'
import { startRedis, TcpProxy } from '@tributary/testkit'

/** A server, the network before it, which can be cut, and the connections of a process over that. */
export async function openProxied(init?: Omit<RedisConnectionsInit, 'url'>) {
  await using started = new AsyncDisposableStack()
  const server = started.use(await startRedis())
  const proxy = started.use(await TcpProxy.start(server.port))
  const url = `redis://127.0.0.1:${proxy.port}`
  const redis = started.use(await RedisConnections.open({ ...init, url }))
  const owned = started.move()
  return { server, proxy, redis, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
