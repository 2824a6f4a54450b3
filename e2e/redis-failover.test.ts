import { type EventCollector, startRedisWithSentinel } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { type ServiceProcess, startGateway } from './processes.ts'
import { numberOf, readGroup, sendNumber, statusOf, upTo } from './redis-outage.ts'

const LIMIT_MS = 180_000
const LATER = { timeout: 40_000 }
/** Numbers of one publisher, which are none of another. */
const SPAN = 1_000_000

/** Sends one number after another. */
class NumberPublisher {
  readonly acknowledged: number[] = []
  readonly #gateway: ServiceProcess
  readonly #first: number
  readonly #over: Promise<void>
  #next: number
  #isOver = false

  constructor(gateway: ServiceProcess, index: number) {
    this.#gateway = gateway
    this.#first = index * SPAN
    this.#next = this.#first
    this.#over = this.#run()
  }

  /** Resolves once so many more have been taken. */
  async more(count: number): Promise<void> {
    const enough = this.acknowledged.length + count
    await expect.poll(() => this.acknowledged.length, LATER).toBeGreaterThanOrEqual(enough)
  }

  /** Resolves with the last number that was taken, and stored. */
  async stop(): Promise<number> {
    this.#isOver = true
    await this.#over
    await expect.poll(() => this.#send(), LATER).toBe(200)
    return this.#next - 1
  }

  isOwn(n: number): boolean {
    return n >= this.#first && n < this.#first + SPAN
  }

  async #run(): Promise<void> {
    while (!this.#isOver) await this.#send()
  }

  async #send(): Promise<number> {
    const n = this.#next
    this.#next += 1
    const { status } = await sendNumber(this.#gateway, n)
    if (status === 200 || status === 202) this.acknowledged.push(n)
    return status
  }
}

/** The numbers that a reader was sent, from one gap to the next: behind one, what is kept is read anew. */
function stretchesOf({ events }: EventCollector): number[][] {
  const stretches: number[][] = [[]]
  for (const event of events) {
    if (event.type === 'gap') stretches.push([])
    if (event.type === 'number') stretches.at(-1)?.push(numberOf(event))
  }
  return stretches
}

describeWithRedisServers('two gateways that are sent to while Redis fails over', () => {
  it('deliver what they took once and in order, or tell readers of a gap', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedisWithSentinel({ persistent: true })
    const env = { REDIS_URL: redis.url, REDIS_TIMEOUT_MS: '1000' }
    await using a = await startGateway({ env })
    await using b = await startGateway({ env })
    const gateways = [a, b]
    await using atA = await readGroup(a, 'alice')
    await using atB = await readGroup(b, 'alice')
    const publishers = gateways.map((gateway, index) => new NumberPublisher(gateway, index))
    const go = () => Promise.all(publishers.map((publisher) => publisher.more(20)))
    await go()
    // As an operator does it.
    await redis.failover()
    await go()
    const killed = await redis.master()
    await killed.kill()
    await redis.failedOver(killed)
    for (const gateway of gateways) {
      await expect.poll(() => statusOf(gateway, '/readyz'), LATER).toBe(200)
    }
    await go()
    const lasts = await Promise.all(publishers.map((publisher) => publisher.stop()))
    for (const reader of [atA, atB]) {
      await Promise.all(lasts.map((last) => upTo(reader, last)))
      const stretches = stretchesOf(reader)
      for (const publisher of publishers) {
        for (const stretch of stretches) {
          const own = stretch.filter((n) => publisher.isOwn(n))
          expect(own).toEqual([...new Set(own)].toSorted((one, other) => one - other))
        }
        const got = new Set(stretches.flat())
        const missed = publisher.acknowledged.filter((n) => !got.has(n))
        if (stretches.length === 1) expect(missed).toEqual([])
      }
      expect(reader.ofType('disconnected')).toEqual([])
    }
  })
})
