import { startRedis } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { startGateway } from '../processes.ts'

const WARNING = 'AUTH_SESSION_SECRET is not set'

/** Two gateways of a cluster: what the second answers to a stream token of the first, and whether that one warned. */
async function askedElsewhere(secret: Readonly<Record<string, string>>) {
  await using redis = await startRedis()
  const env = { REDIS_URL: redis.url, ...secret }
  await using one = await startGateway({ env })
  await using other = await startGateway({ env })
  const headers = { authorization: 'Bearer alice-token' }
  const given = await fetch(`${one.url}/api/auth/sse-token`, { headers })
  const { token } = JSON.parse(await given.text())
  const stream = await fetch(`${other.url}/api/sse/managed/connect?token=${encodeURIComponent(token)}`)
  await stream.body?.cancel()
  return { status: stream.status, hasWarned: one.output.includes(WARNING) }
}

describeWithRedisServers('a stream token of one gateway', () => {
  it('counts at another that signs with the same secret', async () => {
    const asked = await askedElsewhere({ AUTH_SESSION_SECRET: 'a secret that both of the gateways have' })
    expect(asked).toEqual({ status: 200, hasWarned: false })
  })

  it('counts at no other where none is set, and the log says so', async () => {
    expect(await askedElsewhere({})).toEqual({ status: 401, hasWarned: true })
  })
})
