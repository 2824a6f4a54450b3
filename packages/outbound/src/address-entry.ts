import { isIP, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

export type Address = ipaddr.IPv4 | ipaddr.IPv6

/** One entry of OUTBOUND_ALLOW or OUTBOUND_DENY. Without a port it means every port. */
export type AddressEntry = (
  | { readonly kind: 'name'; readonly name: string }
  /** With its leading dot. */
  | { readonly kind: 'suffix'; readonly suffix: string }
  | { readonly kind: 'range'; readonly range: [Address, number] }
) & { readonly port?: number }

/** An entry that cannot be read. The message names it and says what is expected. */
export class AddressEntryError extends TypeError {
  override readonly name = 'AddressEntryError'
  readonly code = 'invalid_address_entry'
  readonly retryable = false

  constructor(entry: string) {
    super(
      `"${entry}" is no address entry: expected a host (api.example.com), host:port, *.suffix, an IP address, ` +
        'IP:port, [IPv6]:port, or a CIDR range (10.0.0.0/8), without scheme or path',
    )
  }
}

const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?'
const NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`)
const PORT = /^\d{1,5}$/
// What the URL parser would take for more than a host, or drop without a word.
const NOT_OF_A_HOST = /[\s/?#@\\%:[\]]/

/**
 * A host as an URL writes it (lower case, punycode, IPv4 in four decimals), without brackets and without a
 * final dot; `undefined` where `text` is none.
 */
export function canonicalHost(text: string): string | undefined {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  if (isIP(bare) !== 0) return bare
  if (NOT_OF_A_HOST.test(text)) return undefined
  const url = URL.parse(`http://${text}/`)
  if (url === null) return undefined
  return url.hostname.endsWith('.') ? url.hostname.slice(0, -1) : url.hostname
}

/** Reads an address in any spelling; a mapped one (`::ffff:10.0.0.1`) is the IPv4 address that it stands for. */
export function parseAddress(text: string): Address | undefined {
  return isIP(text) === 0 ? undefined : ipaddr.process(text)
}

/** Whether an entry means a host, given as `canonicalHost` writes it, or an address that it has. Ports are the caller's. */
export function isNamedBy(entry: AddressEntry, name: string, address: Address | undefined): boolean {
  switch (entry.kind) {
    case 'name':
      return entry.name === name
    case 'suffix':
      return name.endsWith(entry.suffix)
    case 'range':
      return address !== undefined && address.kind() === entry.range[0].kind() && address.match(entry.range)
  }
}

/** @throws AddressEntryError */
export function parseAddressEntry(text: string): AddressEntry {
  const entry = text.trim()
  if (entry.includes('/')) return { kind: 'range', range: parseRange(entry) }
  const { host, port } = splitPort(entry)
  const rest = port === undefined ? {} : { port: parsePort(port, entry) }
  if (host.startsWith('*.')) return { kind: 'suffix', suffix: `.${parseName(host.slice(2), entry)}`, ...rest }
  const canonical = canonicalHost(host)
  const address = canonical === undefined ? undefined : parseAddress(canonical)
  if (address === undefined) return { kind: 'name', name: parseName(host, entry), ...rest }
  return { kind: 'range', range: [address, address.kind() === 'ipv4' ? 32 : 128], ...rest }
}

function splitPort(entry: string): { host: string; port?: string } {
  const colon = entry.lastIndexOf(':')
  if (colon === -1 || isIPv6(entry) || entry.endsWith(']')) return { host: entry }
  const host = entry.slice(0, colon)
  // More than one colon is an IPv6 address, which takes a port only behind brackets.
  if (host.includes(':') && !host.endsWith(']')) throw new AddressEntryError(entry)
  return { host, port: entry.slice(colon + 1) }
}

function parsePort(text: string, entry: string): number {
  const port = Number(text)
  if (!PORT.test(text) || port < 1 || port > 65_535) throw new AddressEntryError(entry)
  return port
}

function parseName(host: string, entry: string): string {
  const name = canonicalHost(host)
  if (name === undefined || !NAME.test(name) || isIP(name) !== 0) throw new AddressEntryError(entry)
  return name
}

function parseRange(entry: string): [Address, number] {
  if (ipaddr.IPv4.isValidCIDRFourPartDecimal(entry)) return ipaddr.IPv4.parseCIDR(entry)
  if (!ipaddr.IPv6.isValidCIDR(entry)) throw new AddressEntryError(entry)
  const [address, bits] = ipaddr.IPv6.parseCIDR(entry)
  // Addresses are compared unmapped, so a range of mapped ones has to be as well.
  if (address.isIPv4MappedAddress() && bits >= 96) return [address.toIPv4Address(), bits - 96]
  return [address, bits]
}
