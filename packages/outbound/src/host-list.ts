import {
  type AddressEntry,
  canonicalHost,
  isNamedBy,
  parseAddress,
  parseAddressEntry,
} from './address-entry.ts'
import { portOf } from './guarded-connector.ts'

/**
 * Hosts that something is meant for, in the forms of OUTBOUND_ALLOW. It goes by the host of the URL, not by what that
 * resolves to. An entry without a port means HTTPS at its own port; any other has to be named, as `host:port`.
 *
 * @throws AddressEntryError where an entry cannot be read.
 */
export class HostList {
  readonly #entries: readonly AddressEntry[]

  constructor(entries: readonly string[]) {
    this.#entries = entries.map(parseAddressEntry)
  }

  has({ hostname, protocol, port }: URL): boolean {
    const host = canonicalHost(hostname)
    if (host === undefined) return false
    const address = parseAddress(host)
    const isHttps = protocol === 'https:'
    const number = portOf(protocol, port)
    return this.#entries.some(
      (entry) =>
        (entry.port === undefined ? isHttps && port === '' : entry.port === number) &&
        isNamedBy(entry, host, address),
    )
  }
}
