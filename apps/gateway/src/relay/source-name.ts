/** Parameters of addresses that hold credentials, whatever their case. */
const CREDENTIALS = /^(?:token|access_token|api_key|apikey)$/i

/**
 * What a source is called that was given no name: its endpoint, without credentials in its query. The name stands in
 * each of its events.
 */
export function sourceName(endpoint: string): string {
  const start = endpoint.indexOf('?')
  if (start === -1) return endpoint
  const pairs = endpoint
    .slice(start + 1)
    .split('&')
    .map((pair) => {
      const [name = ''] = pair.split('=', 1)
      return isCredential(name) ? `${name}=[redacted]` : pair
    })
  return `${endpoint.slice(0, start)}?${pairs.join('&')}`
}

function isCredential(name: string): boolean {
  try {
    return CREDENTIALS.test(decodeURIComponent(name))
  } catch {
    return false
  }
}
