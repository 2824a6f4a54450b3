import type { WireEvent } from '@tributary/protocol'

/** What a server means by ending a stream: for good, that it has no room now, or that it was time. */
export type Ending = 'final' | 'busy' | 'timeout'

/** Reads a `disconnected` event. `undefined` where it says none of these, and of any other event. */
export function endingOf({ type, data }: WireEvent): Ending | undefined {
  if (type !== 'disconnected') return undefined
  const { reason, reconnect } = parse(data)
  if (reconnect === false) return 'final'
  return reason === 'busy' || reason === 'timeout' ? reason : undefined
}

function parse(text: string): { reason?: unknown; reconnect?: unknown } {
  try {
    const data: unknown = JSON.parse(text)
    return typeof data === 'object' && data !== null ? data : {}
  } catch {
    return {}
  }
}
