import ipaddr from 'ipaddr.js'
import {
  type Address,
  type AddressEntry,
  canonicalHost,
  parseAddress,
  parseAddressEntry,
} from './address-entry.ts'

export interface AddressPolicyOptions {
  /** What may be called beyond public addresses (OUTBOUND_ALLOW). Default: nothing. */
  readonly allow?: readonly string[]
  /** What may not be called, whatever else is said (OUTBOUND_DENY). Default: nothing. */
  readonly deny?: readonly string[]
}

// ipaddr.js calls everything "unicast" that no registry entry covers, as `::7f00:1` (127.0.0.1, in a form that
// RFC 4291 gave up). Only this block is handed out (IANA, "Internet Protocol Version 6 Address Space").
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3')

// Public by its number, but answered by the machine below: Azure's WireServer.
const HOST_SERVICES: ReadonlySet<string> = new Set(['168.63.129.16'])

/**
 * What may be called: public unicast addresses, and what `allow` opens; `deny` wins over both.
 *
 * An entry is a host, `host:port`, `*.suffix` (every name below the suffix, not the suffix itself), an IP
 * address, `IP:port`, `[IPv6]:port` or a CIDR range. A host that is allowed by name may resolve to any
 * address that is not denied; an address that is allowed may be reached by any name.
 *
 * @throws AddressEntryError where an entry cannot be read.
 */
export class AddressPolicy {
  readonly #allow: readonly AddressEntry[]
  readonly #deny: readonly AddressEntry[]

  constructor({ allow = [], deny = [] }: AddressPolicyOptions = {}) {
    this.#allow = allow.map(parseAddressEntry)
    this.#deny = deny.map(parseAddressEntry)
  }

  /** Whether a host may be asked for, before its name is looked up. An address is judged for good. */
  allowsHost(host: string, port: number): boolean {
    const name = canonicalHost(host)
    if (name === undefined) return false
    if (parseAddress(name) !== undefined) return this.allowsAddress(name, port, name)
    return !matches(this.#deny, name, undefined, port)
  }

  /** Whether a connection may go to this address and port for a caller who asked for `host`. */
  allowsAddress(address: string, port: number, host: string): boolean {
    const target = parseAddress(address)
    const name = canonicalHost(host)
    if (target === undefined || name === undefined || matches(this.#deny, name, target, port)) return false
    return isPublic(target) || matches(this.#allow, name, target, port)
  }
}

function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast') return false
  return address.kind() === 'ipv4' ? !HOST_SERVICES.has(address.toString()) : address.match(GLOBAL_IPV6)
}

function matches(
  entries: readonly AddressEntry[],
  name: string,
  address: Address | undefined,
  port: number,
): boolean {
  return entries.some(
    (entry) => (entry.port === undefined || entry.port === port) && isNamedBy(entry, name, address),
  )
}

function isNamedBy(entry: AddressEntry, name: string, address: Address | undefined): boolean {
  switch (entry.kind) {
    case 'name':
      return entry.name === name
    case 'suffix':
      return name.endsWith(entry.suffix)
    case 'range':
      return address !== undefined && address.kind() === entry.range[0].kind() && address.match(entry.range)
  }
}
