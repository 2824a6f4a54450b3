import { RedisConnections } from '@tributary/redis'
import { type RedisServer, startRedis, TcpProxy } from '@tributary/testkit'
import { expect, vi } from 'vitest'
import { RedisEventStore } from '../src/redis/index.ts'
import { KEEP_ALL } from './log-fixture.ts'

export const LATER = { timeout: 10_000 }
export const PREFIX = 'failover'
export const OUTAGE = { maxEvents: 100, maxBytes: 100_000 }

/** A server, another that has all of it until they part, and nodes that are taken from the one to the other. */
export async function world() {
  await using started = new AsyncDisposableStack()
  const before = started.use(await startRedis({ lines: ['repl-diskless-sync-delay 0'] }))
  const after = started.use(await startRedis({ lines: [`replicaof 127.0.0.1 ${before.port}`] }))
  const owned = started.move()
  const node = async () => {
    const network = owned.use(await TcpProxy.start(before.port))
    const url = `redis://127.0.0.1:${network.port}`
    const connections = owned.use(await RedisConnections.open({ url, timeoutMs: 1_000 }))
    const store = owned.use(new RedisEventStore({ connections, prefix: PREFIX, outage: OUTAGE }))
    return {
      network,
      store,
      log: await store.open('hub', KEEP_ALL),
      /** As where the old server is gone, and this is what there is now. */
      moves(to: RedisServer = after) {
        network.retarget(to.port)
        network.restore()
        network.cut()
      },
    }
  }
  return {
    before,
    after,
    node,
    /** From here on each goes on alone. Resolves once the other has so much of the log. */
    async parts(count: number, name = 'hub') {
      await holds(after, count, name)
      await after.run('REPLICAOF', 'NO', 'ONE')
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

export const holds = (redis: RedisServer, count: number, name = 'hub') =>
  vi.waitFor(async () => expect(await redis.run('XLEN', `${PREFIX}:{${name}}:trail`)).toBe(count), LATER)
