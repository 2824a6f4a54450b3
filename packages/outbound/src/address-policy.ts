import ipaddr from 'ipaddr.js'
import {
  type Address,
  type AddressEntry,
  canonicalHost,
  isNamedBy,
  parseAddress,
  parseAddressEntry,
} from './address-entry.ts'
import { BLOCKED_PORTS } from './blocked-ports.ts'

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

// Names that no public name server has: those without a dot (RFC 6762, 6761, 8375, ICANN's `internal`), and what
// organisations and clusters call their own.
const LOCAL_NAME =
  /^[^.]+$|\.(?:local|localhost|localdomain|internal|intranet|private|corp|home|lan|svc|home\.arpa)$/

/**
 * What may be called: public unicast addresses at ports that HTTP is spoken at, and what `allow` opens; `deny` wins
 * over both. One of the ports that are blocked opens by an entry that names it.
 *
 * Names of the local network are not looked up where no entry could allow them, and that one is not known is told as
 * if it was refused: what there is on the local network is not for a caller to find out.
 *
 * An entry is a host, `host:port`, `*.suffix` (every name below the suffix, not the suffix itself), an IP
 * address, `IP:port`, `[IPv6]:port` or a CIDR range. A host that is allowed by name may resolve to any
 * address that is not denied; an address that is allowed may be reached by any name.
 *
 * @throws AddressEntryError where an entry cannot be read.
 */
export class AddressPolicy {
  #allow: readonly AddressEntry[]
  /** Those of `#allow` that name a port. */
  #allowPorts: readonly AddressEntry[]
  readonly #deny: readonly AddressEntry[]

  constructor({ allow = [], deny = [] }: AddressPolicyOptions = {}) {
    this.#allow = allow.map(parseAddressEntry)
    this.#allowPorts = this.#allow.filter((entry) => entry.port !== undefined)
    this.#deny = deny.map(parseAddressEntry)
  }

  /**
   * Opens what an entry names, too, from now on: for addresses that are learned while the process runs. The answer
   * takes that back, once.
   *
   * @throws AddressEntryError where it cannot be read.
   */
  open(entry: string): () => void {
    const opened = parseAddressEntry(entry)
    this.#setAllow([...this.#allow, opened])
    return () => this.#setAllow(this.#allow.filter((each) => each !== opened))
  }

  #setAllow(entries: readonly AddressEntry[]): void {
    this.#allow = entries
    this.#allowPorts = entries.filter((entry) => entry.port !== undefined)
  }

  /** Whether a host may be asked for, before its name is looked up. An address is judged for good. */
  allowsHost(host: string, port: number): boolean {
    const name = canonicalHost(host)
    if (name === undefined) return false
    if (parseAddress(name) !== undefined) return this.allowsAddress(name, port, name)
    if (matches(this.#deny, name, undefined, port)) return false
    const isOpen = !BLOCKED_PORTS.has(port) && !LOCAL_NAME.test(name)
    return isOpen || this.#allowFor(port).some((entry) => mayMean(entry, name, port))
  }

  /** Whether a caller may know that a host is not known. */
  tellsOf(host: string, port: number): boolean {
    const name = canonicalHost(host)
    if (name === undefined) return false
    return !LOCAL_NAME.test(name) || matches(this.#allowFor(port), name, undefined, port)
  }

  /** Whether a connection may go to this address and port for a caller who asked for `host`. */
  allowsAddress(address: string, port: number, host: string): boolean {
    const target = parseAddress(address)
    const name = canonicalHost(host)
    if (target === undefined || name === undefined || matches(this.#deny, name, target, port)) return false
    const isOpen = isPublic(target) && !BLOCKED_PORTS.has(port)
    return isOpen || matches(this.#allowFor(port), name, target, port)
  }

  #allowFor(port: number): readonly AddressEntry[] {
    return BLOCKED_PORTS.has(port) ? this.#allowPorts : this.#allow
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

/** Whether an entry could allow a name, once its addresses are known. */
function mayMean(entry: AddressEntry, name: string, port: number): boolean {
  if (entry.port !== undefined && entry.port !== port) return false
  return entry.kind === 'range' || isNamedBy(entry, name, undefined)
}
