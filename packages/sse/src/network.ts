const IPV4_IN_IPV6 = /^::ffff:(?=[\d.]+$)/i
/** The groups of an IPv6 address that name its /64. */
const NETWORK_GROUPS = 4
const GROUPS = 8

/** What counts as one address: an IPv4 address, also within IPv6, or the /64 of IPv6 that a household gets. */
export function networkOf(address: string): string {
  const plain = address.replace(IPV4_IN_IPV6, '')
  if (!plain.includes(':')) return plain
  const [left = '', right] = plain.split('::')
  const first = groupsOf(left)
  const last = right === undefined ? [] : groupsOf(right)
  const zeros = Array.from({ length: Math.max(0, GROUPS - first.length - last.length) }, () => '0')
  const groups = [...first, ...zeros, ...last].slice(0, NETWORK_GROUPS)
  return `${groups.join(':')}::/64`
}

function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':')
}
