import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe } from 'vitest'
import { findRedis, REDIS_MISSING } from './redis/find-redis.ts'
import { type RedisServer, startRedis } from './redis/redis-server.ts'

/** The Redis of a describe block: its own, or, where none is installed, the one of `REDIS_URL`. */
export interface TestRedis {
  /** Within hooks and tests only: before, it is not yet started. */
  readonly url: string
  /** Another each time, for the `REDIS_PREFIX` of a test, so that tests see nothing of each other. */
  prefix(): string
}

/**
 * A describe block with a Redis that all its tests share: a redis-server of its own where one is installed, else what
 * `REDIS_URL` names. Without either its tests are skipped, counted and said; under `CI=true` that is a failure.
 */
export function describeWithRedis(name: string, body: (redis: TestRedis) => void): void {
  const given = findRedis() === undefined ? process.env['TEST_REDIS_URL'] || undefined : undefined
  if (given === undefined && !hasRedis(name, `${REDIS_MISSING}, or name one by REDIS_URL`)) {
    describe.skip(name, () => body(absent))
    return
  }
  describe(name, () => {
    let server: RedisServer | undefined
    beforeAll(async () => {
      if (given === undefined) server = await startRedis()
    })
    afterAll(() => server?.[Symbol.asyncDispose]())
    body({
      prefix: randomPrefix,
      get url() {
        const url = given ?? server?.url
        if (url === undefined) throw new Error('Redis is not yet started: use its url in hooks and tests')
        return url
      },
    })
  })
}

/** A describe block whose tests start, stop and kill servers of their own. Skipped as with `describeWithRedis`. */
export function describeWithRedisServers(name: string, body: () => void): void {
  if (hasRedis(name, REDIS_MISSING)) describe(name, body)
  else describe.skip(name, body)
}

function hasRedis(name: string, reason: string): boolean {
  if (findRedis() !== undefined) return true
  process.stderr.write(`the tests of ${name} are skipped: ${reason}\n`)
  return false
}

const randomPrefix = () => `test-${randomBytes(6).toString('hex')}`

const absent: TestRedis = {
  prefix: randomPrefix,
  get url(): string {
    throw new Error(REDIS_MISSING)
  },
}
