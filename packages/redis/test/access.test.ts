import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineScript, RedisConnections } from '@tributary/redis'
import { freePort, SELF_SIGNED, startRedis, until } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import Type from 'typebox'
import { expect, onTestFinished, test } from 'vitest'
import { aclOf } from './documented-acl.ts'

const ADD = defineScript({
  name: 'add',
  file: new URL('./scripts/add.lua', import.meta.url),
  answer: Type.Tuple([Type.Integer(), Type.String()]),
})

describeWithRedisServers('a server that asks who comes', () => {
  test('lets the user of docs/redis.md do all that we need, and nothing else', async () => {
    await using server = await startRedis({ lines: [aclOf('tributary')] })
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
    const folder = await mkdtemp(join(tmpdir(), 'tributary-tls-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    await writeFile(cert, SELF_SIGNED.cert)
    await writeFile(key, SELF_SIGNED.key)
    const port = await freePort()
    const lines = [`tls-port ${port}`, `tls-cert-file ${cert}`, `tls-key-file ${key}`, 'tls-auth-clients no']
    await using server = await startRedis({ lines: [...lines, 'tls-replication no'] })
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
})
