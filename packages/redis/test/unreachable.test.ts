import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RedisConnections, type RedisNotice } from '@tributary/redis'
import { lastingPort, SELF_SIGNED, startRedis } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, onTestFinished, test } from 'vitest'

const { cert: ca } = SELF_SIGNED

/** The first reason for which it is waited. */
async function whyWaiting(url: string, trusted?: string): Promise<unknown> {
  const notice = Promise.withResolvers<RedisNotice>()
  const stop = new AbortController()
  const opening = RedisConnections.open({
    url,
    timeoutMs: 500,
    signal: stop.signal,
    onNotice: notice.resolve,
    ...(trusted === undefined ? {} : { ca: trusted }),
  })
  const { message, fields } = await Promise.race([notice.promise, opening.then(() => notice.promise)])
  stop.abort()
  await expect(opening).rejects.toThrow()
  expect(message).toBe('waiting for Redis')
  return fields['reason']
}

/** A server with a port that takes TLS and one that does not. */
async function startBoth(clients: 'yes' | 'no' = 'no') {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-tls-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  await writeFile(cert, ca)
  await writeFile(key, SELF_SIGNED.key)
  const tls = await lastingPort()
  const lines = [`tls-cert-file ${cert}`, `tls-key-file ${key}`, `tls-ca-cert-file ${cert}`]
  const server = await startRedis({ lines: [`tls-port ${tls}`, ...lines, `tls-auth-clients ${clients}`] })
  onTestFinished(() => server[Symbol.asyncDispose]())
  return { tls, plain: server.port }
}

describeWithRedisServers('a Redis that cannot be reached as REDIS_URL says', () => {
  test.each([
    ['one server', '', ''],
    ['Sentinels', '+sentinel', '/main'],
    ['a Cluster', '+cluster', ''],
  ])(
    'is told of with what to change: %s',
    async (_, kind, path) => {
      const { tls, plain } = await startBoth()
      const closed = await lastingPort()
      const at = (scheme: string, host: string, port: number) => `${scheme}${kind}://${host}:${port}${path}`
      expect(await whyWaiting(at('rediss', 'localhost', tls))).toMatch(/self-signed.*REDIS_TLS_CA_FILE/)
      expect(await whyWaiting(at('rediss', '127.0.0.1', tls), ca)).toMatch(/127\.0\.0\.1 .*into REDIS_URL/)
      expect(await whyWaiting(at('redis', '127.0.0.1', tls))).toMatch(/rediss in place of redis/)
      expect(await whyWaiting(at('rediss', '127.0.0.1', plain), ca)).toMatch(/redis in place of rediss/)
      expect(await whyWaiting(at('redis', '127.0.0.1', closed))).toMatch(/ECONNREFUSED/)
    },
    30_000,
  )

  test('is told of each by each where they differ', async () => {
    const { tls } = await startBoth()
    const closed = await lastingPort()
    expect(await whyWaiting(`redis+sentinel://127.0.0.1:${tls},127.0.0.1:${closed}/main`)).toMatch(
      new RegExp(`127.0.0.1:${tls}: .*rediss.*; 127.0.0.1:${closed}: .*ECONNREFUSED`),
    )
  })

  test('is told of where the server wants certificates of its clients', async () => {
    const { tls } = await startBoth('yes')
    expect(await whyWaiting(`rediss://localhost:${tls}`, ca)).toMatch(/tls-auth-clients/)
  })
})

test('another service in the place of Redis is told of', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  expect(await whyWaiting(`redis://127.0.0.1:${portOf(server.address())}`)).toMatch(/no Redis/)
})

test('a server that takes connections and says nothing is told of', async () => {
  const server = createTcpServer((socket) => socket.resume().on('error', () => undefined))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  expect(await whyWaiting(`redis://127.0.0.1:${portOf(server.address())}`)).toMatch(/does not answer/)
})

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('it listens on a port')
  return address.port
}
