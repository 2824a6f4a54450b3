import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction, Socket } from 'node:net'
import { buildConnector } from 'undici'
import type { AddressPolicy } from './address-policy.ts'
import { AddressRefusedError } from './outbound-error.ts'

export interface GuardedConnectorOptions {
  readonly policy: AddressPolicy
  /** Milliseconds for name lookup, TCP and TLS together. */
  readonly connectTimeoutMs: number
  /** Called with each socket while it is still connecting. */
  readonly onSocket?: (socket: Socket) => void
  /** Default: the system's, `dns.lookup`. */
  readonly lookup?: LookupFunction
}

/**
 * A connector for one origin that reaches only what the policy allows.
 *
 * It judges the host before the lookup, every address that the lookup answers, one bad among them being
 * enough, and at last the address that the socket is connected to. Nothing is sent before that, so a name
 * that changes its mind between two lookups gains nothing.
 *
 * It is for one origin because a lookup is not told the port that it is for.
 */
export function guardedConnector(origin: URL, options: GuardedConnectorOptions): buildConnector.connector {
  const { policy, connectTimeoutMs, onSocket, lookup = systemLookup } = options
  const originPort = portOf(origin.protocol, origin.port)
  const connect = buildConnector({
    timeout: connectTimeoutMs,
    // One lost HTTP/2 connection would fail all the tasks on it together.
    allowH2: false,
    lookup: guardedLookup(policy, originPort, lookup),
  })
  return (target, callback) => {
    const { hostname } = target
    const port = portOf(target.protocol, target.port)
    if (port !== originPort || !policy.allowsHost(hostname, port)) {
      queueMicrotask(() => callback(new AddressRefusedError(), null))
      return
    }
    // Undici answers with the socket, which its types leave out.
    const connecting: unknown = connect(target, (...[error, socket]) => {
      if (error !== null) return callback(error, null)
      const { remoteAddress } = socket
      // A socket that is gone already has no address; the client finds out that it was reset.
      if (remoteAddress === undefined || policy.allowsAddress(remoteAddress, port, hostname)) {
        return callback(null, socket)
      }
      socket.destroy()
      callback(new AddressRefusedError(), null)
    })
    if (connecting instanceof Socket) onSocket?.(connecting)
  }
}

/** The port of a URL, also where its scheme implies it. */
export function portOf(protocol: string, port: string): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
}

function guardedLookup(policy: AddressPolicy, port: number, lookup: LookupFunction): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      const tells = policy.tellsOf(hostname, port)
      if (error !== null) return callback(tells ? error : new AddressRefusedError(), [])
      const addresses = typeof found === 'string' ? [{ address: found, family: isIP(found) }] : found
      const [first] = addresses
      if (first === undefined) return callback(tells ? notFound(hostname) : new AddressRefusedError(), [])
      if (addresses.some(({ address }) => !policy.allowsAddress(address, port, hostname))) {
        return callback(new AddressRefusedError(), [])
      }
      if (options.all === true) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }
}

function notFound(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`No address for ${hostname}`), { code: 'ENOTFOUND', syscall: 'getaddrinfo' })
}
