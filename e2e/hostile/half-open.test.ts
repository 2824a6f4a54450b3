import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { HostileWorld } from './hostile-world.ts'

const SEND = '/api/sse/managed/send/user/nobody'

describe('a crowd', () => {
  let world: HostileWorld
  beforeAll(async () => {
    world = await HostileWorld.start({ gateway: { HEADERS_TIMEOUT_MS: '1500', REQUEST_TIMEOUT_MS: '1500' } })
  })
  afterAll(() => world[Symbol.asyncDispose]())

  /** A socket that sends this much, and then says no more. */
  function begin(text: string): Socket {
    const { hostname, port } = new URL(world.gateway.url)
    const socket = connect({ host: hostname, port: Number(port) })
    socket.on('error', () => undefined).resume()
    if (text !== '') socket.write(text)
    return socket
  }

  it.each([
    ['that say nothing', ''],
    ['in the midst of a header', 'GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: '],
    ['in the midst of an address', 'GET /api/runs?'],
    [
      'before their body',
      `POST ${SEND} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n`,
    ],
  ])('of a thousand half-open requests %s is gone in time', async (_what, text) => {
    await world.healthy.during(async () => {
      const sockets = Array.from({ length: 1_000 }, () => begin(text))
      await Promise.all(sockets.map((socket) => once(socket, 'close')))
    })
  })
})
