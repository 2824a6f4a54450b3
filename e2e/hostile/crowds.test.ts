import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RawStream } from '../raw-stream.ts'
import { HostileWorld } from './hostile-world.ts'
import { tokenOf } from './tokens.ts'

const MANAGED = '/api/sse/managed'
const WAIT = { timeout: 20_000 }

describe('a crowd', () => {
  let world: HostileWorld
  beforeAll(async () => {
    world = await HostileWorld.start({
      gateway: { OUTBOX_MAX_BYTES: '16384', MAX_CONNECTIONS: '1500', MAX_CONNECTIONS_PER_USER: '0' },
    })
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const streams = (count: number) =>
    Array.from(
      { length: count },
      () =>
        new RawStream(`${world.gateway.url}${MANAGED}/connect`, {
          authorization: `Bearer ${tokenOf('user')}`,
        }),
    )

  it('of a thousand streams that never read takes a bounded part of the memory, and is ended', async () => {
    const { hub, streams: server } = world.gateway.deps
    await world.healthy.during(async () => {
      const idle = streams(1_000)
      expect(await Promise.all(idle.map((stream) => stream.status()))).toEqual(idle.map(() => 200))
      for (const { socket } of idle) socket.pause()
      const ended = () => hub.local.connectionsOfUser('user').length === 0
      for (let n = 0; !ended(); n += 1) {
        await hub.sendToUser('user', 'flood', 'x'.repeat(8_000))
        expect(server.totals().maxPendingBytes).toBeLessThanOrEqual(16_384 + 10_000)
        expect(n).toBeLessThan(5_000)
        await new Promise(setImmediate)
      }
      for (const { socket } of idle) socket.destroy()
    })
    await expect.poll(() => server.admitted, WAIT).toBe(1)
  })

  it('of two thousand connects at once is let in as far as there is room', async () => {
    const { streams: server } = world.gateway.deps
    await world.healthy.during(async () => {
      const storm = streams(2_000)
      const statuses = await Promise.all(storm.map((stream) => stream.status()))
      expect(statuses.filter((status) => status === 200)).toHaveLength(1_499)
      expect(statuses.filter((status) => status === 503)).toHaveLength(501)
      for (const { socket } of storm) socket.destroy()
    })
    await expect.poll(() => server.admitted, WAIT).toBe(1)
  })
})
