import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { pingRedis, RedisNetwork } from './redis-network.ts'
import { RedisServers } from './redis-servers.ts'

/** Says a command to a server of Redis, and answers what comes first. */
async function say(port: number, command: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`${command}\r\n`)
  const [answer] = await once(socket, 'data')
  socket.destroy()
  return String(answer)
}

const portsOf = (text: string) => [...text.matchAll(/\b\d{5}\b/g)].map(([port]) => Number(port))

describeWithRedisServers('the network between a node and Redis', () => {
  it('is all that the node learns of from Sentinels', async () => {
    await using redis = await RedisServers.start({ sentinel: true })
    await using network = await RedisNetwork.start(redis)
    const real = [...redis.servers, ...redis.sentinels].map(({ port }) => port)
    const sentinels = portsOf(network.url)
    expect(sentinels).toHaveLength(3)
    for (const sentinel of sentinels) {
      const [master = 0] = portsOf(
        await say(sentinel, `SENTINEL get-master-addr-by-name ${redis.masterName}`),
      )
      expect(real).not.toContain(master)
      expect(await say(master, 'ROLE')).toContain('master')
      const others = portsOf(await say(sentinel, `SENTINEL sentinels ${redis.masterName}`))
      expect(others.filter((port) => real.includes(port))).toEqual([])
    }
  })

  it('cuts every connection of its node, and no other', async () => {
    await using redis = await RedisServers.start()
    await using one = await RedisNetwork.start(redis)
    await using other = await RedisNetwork.start(redis)
    const open = async ({ url }: RedisNetwork) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1')
      socket.write('PING\r\n')
      await once(socket, 'data')
      return socket
    }
    const [cut, kept] = [await open(one), await open(other)]
    const broken = once(cut, 'error')
    expect([one.linkCount, one.cut()]).toEqual([1, 1])
    expect(String(await broken)).toContain('ECONNRESET')
    kept.write('PING\r\n')
    expect(String(await once(kept, 'data'))).toContain('PONG')
    kept.destroy()
  })

  it('says so where what is asked closes without an answer', async () => {
    const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
    await expect(pingRedis(address.port)).rejects.toThrow()
    server.close()
  })
})
