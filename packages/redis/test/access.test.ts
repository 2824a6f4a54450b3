import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineScript, RedisConnections } from '@tributary/redis'
import {
  documentedUser,
  lastingPort,
  SELF_SIGNED,
  startRedis,
  startRedisCluster,
  until,
} from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import Type from 'typebox'
import { expect, onTestFinished, test } from 'vitest'

const ADD = defineScript({
  name: 'add',
  file: new URL('./scripts/add.lua', import.meta.url),
  answer: Type.Tuple([Type.Integer(), Type.String()]),
})

describeWithRedisServers('a server that asks who comes', () => {
  test('lets the user of docs/redis.md do all that we need, and nothing else', async () => {
    await using server = await startRedis({ lines: [documentedUser()] })
    const url = `redis://tributary:secret@127.0.0.1:${server.port}`
    await using redis = await RedisConnections.open({ url })
    const heard: string[] = []
    await redis.subscriptions.subscribe('tributary:{a}:channel', (message) => heard.push(message)).ready
    const args = [1, redis.publishCommand, 'tributary:{a}:channel']
    expect(await redis.run(ADD, ['tributary:{a}:n'], args)).toEqual([1, 'string'])
    await until('the message', async () => heard[0])
    for (const stranger of ['other:n', 'tributarian']) {
      await expect(redis.call((client) => client.get(stranger))).rejects.toMatchObject({ kind: 'NOPERM' })
    }
    await expect(redis.call((client) => client.flushall())).rejects.toMatchObject({ kind: 'NOPERM' })
    await expect(redis.call((client) => client.spublish('other', ''))).rejects.toMatchObject({
      kind: 'NOPERM',
    })
  })

  test('is talked to by TLS, with the authority that was given, and not without', async () => {
    const port = await lastingPort()
    await using server = await startRedis({ lines: [`tls-port ${port}`, ...(await tlsLines())] })
    const url = `rediss://localhost:${port}`
    await using redis = await RedisConnections.open({ url, ca: SELF_SIGNED.cert })
    await redis.subscriptions.subscribe('a', () => undefined).ready
    expect(String(await server.run('CLIENT', 'LIST'))).toMatch(/name=tributary-subscriber .*ssub=1 /)
    const reason = Promise.withResolvers<unknown>()
    const stop = new AbortController()
    const opening = RedisConnections.open({
      url,
      signal: stop.signal,
      onNotice: ({ fields }) => reason.resolve(fields['reason']),
    })
    opening.catch(() => undefined)
    expect(await reason.promise).toMatch(/self-signed certificate/)
    stop.abort()
    await expect(opening).rejects.toThrow()
  })

  test('is found by Sentinels over TLS, which also have a login', async () => {
    const [port, sentinelPort] = [await lastingPort(), await lastingPort()]
    const lines = await tlsLines()
    await using master = await startRedis({ lines: [`tls-port ${port}`, 'requirepass secret', ...lines] })
    await using sentinel = await startRedis({
      sentinel: true,
      lines: [
        `tls-port ${sentinelPort}`,
        ...lines,
        documentedUser('watch'),
        'user default off',
        'sentinel resolve-hostnames yes',
        'sentinel announce-hostnames yes',
        `sentinel monitor main localhost ${port} 1`,
        'sentinel auth-pass main secret',
        'tls-replication yes',
      ],
    })
    const url = `rediss+sentinel://:secret@localhost:${sentinelPort}/main?sentinelUser=watch&sentinelPassword=secret`
    await using redis = await RedisConnections.open({ url, ca: SELF_SIGNED.cert })
    await redis.subscriptions.subscribe('a', () => undefined).ready
    expect(await redis.call((client) => client.ping())).toBe('PONG')
    expect([master.port, sentinel.port]).not.toContain(port)
  })

  test('is a Cluster over TLS, where its servers say their names', async () => {
    const lines = await tlsLines()
    await using cluster = await startRedisCluster({
      lines: [...lines, 'cluster-announce-hostname localhost', 'cluster-preferred-endpoint-type hostname'],
      hasTls: true,
    })
    await using redis = await RedisConnections.open({ url: cluster.url, ca: SELF_SIGNED.cert })
    const keys = ['a', 'b', 'c', 'd']
    const ready = keys.map((key) => redis.subscriptions.subscribe(key, () => undefined).ready)
    await Promise.all(ready)
    for (const key of keys) expect(await redis.call((client) => client.incr(key))).toBe(1)
  })
})

/** The certificate in files, and the lines that name them. */
async function tlsLines(): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-tls-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  await writeFile(cert, SELF_SIGNED.cert)
  await writeFile(key, SELF_SIGNED.key)
  return [`tls-cert-file ${cert}`, `tls-key-file ${key}`, `tls-ca-cert-file ${cert}`, 'tls-auth-clients no']
}
