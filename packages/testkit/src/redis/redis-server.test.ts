import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { describeWithRedisServers } from '../vitest.ts'
import { startRedisCluster } from './redis-cluster.ts'
import { startRedis } from './redis-server.ts'
import { startRedisWithSentinel } from './redis-with-sentinel.ts'
import { until } from './until.ts'

const LIMIT_MS = 60_000

describeWithRedisServers('the Redis servers of the tests', () => {
  test('keep what was written over a kill where they are persistent, and lose it where they are not', async () => {
    await using persistent = await startRedis({ persistent: true })
    await using fleeting = await startRedis()
    for (const redis of [persistent, fleeting]) {
      await redis.run('SET', 'key', 'value')
      await redis.kill()
      await redis.restart()
    }
    expect(await persistent.run('GET', 'key')).toBe('value')
    expect(await fleeting.run('GET', 'key')).toBe(null)
  })

  test('answer nothing while they are paused', async () => {
    await using redis = await startRedis()
    const client = redis.client()
    await client.ping()
    redis.pause()
    let hasAnswered = false
    const answer = client.incr('n').then((n) => {
      hasAnswered = true
      return n
    })
    const other = startRedis()
    await (await other)[Symbol.asyncDispose]()
    expect(hasAnswered).toBe(false)
    redis.resume()
    expect(await answer).toBe(1)
    client.disconnect()
  })

  test('end with the process that started them, also when that is killed', async () => {
    const program = `
      const { startRedis } = await import(${JSON.stringify(import.meta.resolve('./redis-server.ts'))})
      const redis = await startRedis()
      console.log(redis.pid)
      await new Promise(() => setInterval(() => {}, 1000))`
    const args = ['--conditions=@tributary/source', '--input-type=module', '-e', program]
    const child = spawn(process.execPath, args, {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [output] = await once(child.stdout, 'data')
    const pid = Number(String(output))
    expect(isAlive(pid)).toBe(true)
    child.kill('SIGKILL')
    expect(await until('the end', async () => (isAlive(pid) ? undefined : 'gone'))).toBe('gone')
  })

  test('fail over to the replica once the master is killed', { timeout: LIMIT_MS }, async () => {
    await using all = await startRedisWithSentinel()
    const [first, replica] = all.servers
    const master = await all.master()
    expect(master).toBe(first)
    await master.kill()
    expect(await all.failedOver(master)).toBe(replica)
    expect(await replica?.run('SET', 'key', 'value')).toBe('OK')
  })

  test('make a cluster in which each key has an owner', { timeout: LIMIT_MS }, async () => {
    await using all = await startRedisCluster({ replicas: 1 })
    const owners = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((key) => all.ownerOf(key)))
    expect(new Set(owners).size).toBeGreaterThan(1)
    expect(await owners[0]?.run('SET', 'a', 1)).toBe('OK')
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
