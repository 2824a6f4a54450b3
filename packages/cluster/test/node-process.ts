import { RedisConnections } from '@tributary/redis'
import { RedisCluster } from '../src/redis/index.ts'

// A node as a process of its own: `node node-process.ts <Redis> <prefix> <node id> <lease in ms>`. It says what it is
// told, and answers `echo`.
const [url = '', prefix = '', nodeId = '', leaseMs] = process.argv.slice(2)

const redis = await RedisConnections.open({ url })
const cluster = await RedisCluster.open({
  redis,
  prefix,
  nodeId,
  leaseMs: Number(leaseMs),
  service: 'gateway',
})
cluster.handle('echo', async (payload) => payload)
cluster.onNodeGone(async (node) => void process.send?.({ gone: node.nodeId }))
cluster.onRejoined(async () => void process.send?.({ rejoined: nodeId }))
process.on('SIGTERM', async () => {
  await cluster[Symbol.asyncDispose]()
  await redis[Symbol.asyncDispose]()
  process.exit(0)
})
process.on('disconnect', () => process.exit(1))
process.send?.({ ready: true })
