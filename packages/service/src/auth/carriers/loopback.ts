import { BlockList, isIP } from 'node:net'
import type { Credentials } from './credentials.ts'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** Headers that say somebody else stands behind the socket's address. */
const FORWARDING_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']

/**
 * Why a request is not taken for one of this machine's own; undefined where it is.
 *
 * The socket alone does not say it: a proxy may stand before the server, and a web page from anywhere may make
 * the browser on this machine send (with its `Origin`), also to a name of its own that points here (`Host`).
 *
 * @param bearer whether it may hold a token, which is looked at elsewhere. Default false.
 */
export function loopbackRefusal(
  { socket, headers }: Credentials,
  { bearer = false } = {},
): string | undefined {
  if (!isLoopbackAddress(socket.remoteAddress ?? '')) return 'the request is not from this machine'
  const forwarded = FORWARDING_HEADERS.find((name) => headers[name] !== undefined)
  if (forwarded !== undefined) return `the request was forwarded, it has ${forwarded}`
  if (headers.authorization !== undefined && !bearer) return 'its Authorization is not Bearer'
  if (headers.host !== undefined && !isLoopbackUrl(`http://${headers.host}`))
    return 'its Host is not this machine'
  const { origin } = headers
  if (origin !== undefined && !isLoopbackUrl(origin)) return 'its Origin is not this machine'
  if (origin === undefined && headers['sec-fetch-site'] === 'cross-site') return 'another site sent it'
  return undefined
}

/** Whether an address is of this machine: 127.0.0.0/8 or ::1, also as IPv4 in IPv6. */
function isLoopbackAddress(address: string): boolean {
  if (address === '127.0.0.1') return true
  const family = isIP(address)
  return family !== 0 && LOOPBACK.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

/** What is said nearly always, and needs no parser. */
const USUAL_LOOPBACK_URL = /^http:\/\/(?:localhost|127\.0\.0\.1)(?::\d{1,5})?$/

function isLoopbackUrl(text: string): boolean {
  if (USUAL_LOOPBACK_URL.test(text)) return true
  const hostname = URL.parse(text)?.hostname.replace(/^\[|\]$/g, '') ?? ''
  return hostname === 'localhost' || hostname.endsWith('.localhost') || isLoopbackAddress(hostname)
}
