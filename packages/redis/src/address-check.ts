import { connect, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { Clock } from '@tributary/protocol'
import { reasonOf } from './redis-error.ts'
import type { RedisAddress, RedisTarget } from './redis-target.ts'

export interface AddressCheckInit {
  readonly target: RedisTarget
  /** The certificate authorities, as PEM. Default: those of Node. */
  readonly ca?: string | undefined
  /** How long an address may take to answer, in milliseconds. */
  readonly timeoutMs: number
  readonly clock: Pick<Clock, 'after' | 'elapsed'>
}

/** What any Redis answers, be it with an error. */
const QUESTION = 'PING\r\n'
/** More than any server takes that is of use. */
const ANSWER_LIMIT_MS = 2_000
const ANSWER = /^[+-]/

/**
 * Why none of the addresses of `REDIS_URL` can be talked to, for people; undefined where one answers as Redis does. The
 * clients of Sentinels and of a Cluster keep to themselves why, and that of one server knows no more than that it was cut off.
 */
export async function whyUnreachable(init: AddressCheckInit): Promise<string | undefined> {
  const addresses = addressesOf(init.target)
  const faults = await Promise.all(addresses.map((address) => faultOf(address, init)))
  if (faults.includes(undefined)) return undefined
  const [first] = faults
  return faults.every((fault) => fault === first)
    ? first
    : addresses.map(({ host, port }, at) => `${host}:${port}: ${faults[at]}`).join('; ')
}

function addressesOf(target: RedisTarget): readonly RedisAddress[] {
  if (target.kind === 'single') return [target.address]
  return target.kind === 'sentinel' ? target.sentinels : target.nodes
}

async function faultOf(address: RedisAddress, init: AddressCheckInit): Promise<string | undefined> {
  const { hasTls } = init.target
  const fault = Promise.withResolvers<string | undefined>()
  let isConnected = false
  const socket = opened(address, init)
  const limitMs = Math.min(init.timeoutMs, ANSWER_LIMIT_MS)
  const cancel = init.clock.after(limitMs, () => fault.resolve(silence(hasTls, isConnected)))
  socket.once('connect', () => {
    isConnected = true
  })
  socket.once('error', (error) =>
    fault.resolve(isConnected && isCut(error) ? cutOff(hasTls) : reasonOf(error)),
  )
  socket.once('close', () => fault.resolve(cutOff(hasTls)))
  socket.once('data', (answer: Buffer) =>
    fault.resolve(ANSWER.test(answer.toString('latin1')) ? undefined : 'what answers there is no Redis'),
  )
  socket.write(QUESTION)
  try {
    return await fault.promise
  } finally {
    cancel()
    socket.on('error', () => undefined)
    socket.destroy()
  }
}

function opened({ host, port }: RedisAddress, { target, ca }: AddressCheckInit): Socket {
  if (!target.hasTls) return connect({ host, port })
  const options: ConnectionOptions = { host, port, ...(ca === undefined ? {} : { ca }) }
  return connectTls(options)
}

function isCut(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
}

function cutOff(hasTls: boolean): string {
  return hasTls
    ? 'the connection is cut off before TLS is agreed on'
    : 'the connection is cut off without a word, as by a port that takes TLS alone: is it rediss in place of redis?'
}

function silence(hasTls: boolean, isConnected: boolean): string {
  if (!isConnected) return 'connect ETIMEDOUT'
  return hasTls
    ? 'the server does not answer a TLS handshake, as a port without TLS: is it redis in place of rediss?'
    : 'the server does not answer'
}
