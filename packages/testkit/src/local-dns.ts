import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv4, isIPv6 } from 'node:net'
import { AUTHORITATIVE_ANSWER, type DecodedPacket, decode, encode, type StringAnswer } from 'dns-packet'

/** The code of a DNS answer that there is no such name (RFC 1035, 4.1.1). */
const NXDOMAIN = 3

/** What each name is answered with: the addresses of the first time, the second, and so on; the last for all further. */
type DnsZone = Readonly<Record<string, readonly (readonly string[])[]>>

/** A DNS server on loopback. */
interface LocalDns extends AsyncDisposable {
  /** As `127.0.0.1:port`. */
  readonly address: string
  /** What it was asked, as `A name.example`. */
  readonly questions: readonly string[]
}

/** Serves a zone over UDP. All other names there are not. */
export async function serveDns(zone: DnsZone): Promise<LocalDns> {
  const socket = createSocket('udp4')
  const questions: string[] = []
  socket.on('message', (bytes, { port, address }) => {
    const packet = decode(bytes)
    const { name = '', type = 'A' } = packet.questions?.[0] ?? {}
    const question = `${type} ${name.toLowerCase()}`
    const turn = questions.filter((earlier) => earlier === question).length
    questions.push(question)
    const turns = zone[name.toLowerCase()]
    const found = turns?.[turn] ?? turns?.at(-1)
    socket.send(encode(answerTo(packet, found)), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    address: `127.0.0.1:${socket.address().port}`,
    questions,
    async [Symbol.asyncDispose]() {
      socket.close()
      await once(socket, 'close')
    },
  }
}

function answerTo({ id = 0, questions = [] }: DecodedPacket, found: readonly string[] | undefined) {
  const [{ name, type } = { name: '', type: 'A' as const }] = questions
  const isOfType = type === 'AAAA' ? isIPv6 : isIPv4
  const answers = (found ?? []).filter(isOfType).map((data): StringAnswer => {
    return { name, type: type === 'AAAA' ? 'AAAA' : 'A', ttl: 0, data }
  })
  const flags = AUTHORITATIVE_ANSWER | (found === undefined ? NXDOMAIN : 0)
  return { type: 'response' as const, id, flags, questions, answers }
}
