import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns'
import { once } from 'node:events'
import type { LookupFunction } from 'node:net'

const HEADER_BYTES = 12

/** A DNS server on loopback that answers each question with the next address, and a lookup that asks it. */
export async function rebindingDns(
  addresses: readonly string[],
): Promise<AsyncDisposable & { lookup: LookupFunction; readonly questions: number }> {
  const socket = createSocket('udp4')
  let questions = 0
  socket.on('message', (query, { port, address }) => {
    const answer = addresses[questions] ?? '0.0.0.0'
    questions += 1
    const header = Buffer.from(query.subarray(0, HEADER_BYTES))
    header.writeUInt16BE(0x8180, 2)
    header.writeUInt16BE(1, 6)
    header.writeUInt32BE(0, 8)
    const question = query.subarray(HEADER_BYTES, query.indexOf(0, HEADER_BYTES) + 5)
    const record = Buffer.from([
      0xc0,
      HEADER_BYTES,
      0,
      1,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
      4,
      ...answer.split('.').map(Number),
    ])
    socket.send(Buffer.concat([header, question, record]), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const resolver = new Resolver()
  resolver.setServers([`127.0.0.1:${socket.address().port}`])
  return {
    lookup: (hostname, _options, callback) => {
      resolver.resolve4(hostname, (error, found = []) =>
        callback(
          error,
          found.map((address) => ({ address, family: 4 })),
        ),
      )
    },
    get questions() {
      return questions
    },
    async [Symbol.asyncDispose]() {
      resolver.cancel()
      socket.close()
      await once(socket, 'close')
    },
  }
}
