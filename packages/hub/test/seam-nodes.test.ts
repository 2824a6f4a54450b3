import { RedisEventStore } from '@tributary/eventlog/redis'
import { systemClock } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { StreamServer } from '@tributary/sse'
import { startRedis } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { it } from 'vitest'
import { Hub } from '../src/hub.ts'
import { MAX_EVENTS, playSeam } from './seam-fixture.ts'
import { startFastify } from './servers.ts'

const LIMIT_MS = 120_000
const NODES = 2

/** A hub of its own connections, over the log that all of a prefix share. */
async function node(url: string, owned: AsyncDisposableStack) {
  const connections = owned.use(await RedisConnections.open({ url }))
  const store = owned.use(new RedisEventStore({ connections, prefix: 'seam' }))
  const streams = new StreamServer({ clock: systemClock })
  const hub = owned.use(
    await Hub.open({ store, streams, historyMaxEvents: MAX_EVENTS, maxConnectionsPerUser: 0 }),
  )
  return { hub, server: owned.use(await startFastify(hub)) }
}

describeWithRedisServers('The seam of replay and live over two nodes on one Redis', () => {
  it('gives each of hundreds of readers, at whichever node, exactly what was for it, in order', {
    timeout: LIMIT_MS,
  }, async () => {
    await using owned = new AsyncDisposableStack()
    const redis = owned.use(await startRedis())
    const nodes = await Promise.all(Array.from({ length: NODES }, () => node(redis.url, owned)))
    await playSeam({ hubs: nodes.map(({ hub }) => hub), servers: nodes.map(({ server }) => server) })
  })

  it('does so while the server ends their connections again and again', { timeout: LIMIT_MS }, async () => {
    await using owned = new AsyncDisposableStack()
    const redis = owned.use(await startRedis())
    const nodes = await Promise.all(Array.from({ length: NODES }, () => node(redis.url, owned)))
    let isOver = false
    const killing = (async () => {
      // One kill after the other: each waits until the server has answered.
      while (!isOver) await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => undefined)
    })()
    await playSeam({ hubs: nodes.map(({ hub }) => hub), servers: nodes.map(({ server }) => server) }).finally(
      () => {
        isOver = true
      },
    )
    await killing
  })
})
