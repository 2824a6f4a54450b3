import { type LookupAddress, Resolver } from 'node:dns'
import type { LookupFunction } from 'node:net'

/** How long one name server may take for a question, in ms, and how often it is asked. */
const QUESTION_TIMEOUT_MS = 2_000
const QUESTION_TRIES = 2

/** RFC 6761, 6.3: answered without asking. */
const LOCALHOST = /^(?:.+\.)?localhost\.?$/i
const LOOPBACK: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
]

/**
 * A lookup that asks these name servers instead of the system, which has its own cache, search domains and hosts file.
 *
 * @param servers as `address`, `address:port` or `[IPv6]:port`.
 * @throws where an entry is no such.
 */
export function nameServerLookup(servers: readonly string[]): LookupFunction {
  const resolver = new Resolver({ timeout: QUESTION_TIMEOUT_MS, tries: QUESTION_TRIES })
  resolver.setServers(servers)
  return (hostname, { all }, callback) => {
    const answer = (addresses: readonly LookupAddress[], error: Error | null) => {
      const [first] = addresses
      if (first === undefined) callback(error, [])
      else if (all === true) callback(null, [...addresses])
      else callback(null, first.address, first.family)
    }
    if (LOCALHOST.test(hostname)) queueMicrotask(() => answer(LOOPBACK, null))
    else void addressesOf(resolver, hostname).then(({ addresses, error }) => answer(addresses, error))
  }
}

interface Found {
  readonly addresses: readonly LookupAddress[]
  readonly error: Error | null
}

/** Both families: a name that has one alone fails on the other, which says nothing. */
async function addressesOf(resolver: Resolver, hostname: string): Promise<Found> {
  const [v4, v6] = await Promise.all([
    new Promise<Found>((resolve) => {
      resolver.resolve4(hostname, (error, found) => resolve(foundOf(error, found, 4)))
    }),
    new Promise<Found>((resolve) => {
      resolver.resolve6(hostname, (error, found) => resolve(foundOf(error, found, 6)))
    }),
  ])
  return { addresses: [...v4.addresses, ...v6.addresses], error: v4.error ?? v6.error }
}

function foundOf(error: Error | null, found: readonly string[] | undefined, family: 4 | 6): Found {
  return { addresses: (found ?? []).map((address) => ({ address, family })), error }
}
