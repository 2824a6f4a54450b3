import type { IncomingMessage } from 'node:http'

/**
 * How long a stream's connection may be silent before the kernel asks whether its peer is there. Half of the usual
 * time between heartbeats: while something that was sent is not confirmed, the kernel asks for nothing else.
 */
export const DEFAULT_KEEP_ALIVE_MS = 15_000

/**
 * Has the kernel find a peer that is gone without a word (TCP keepalive, RFC 9293 section 3.8.4), which closes the
 * stream as if it had left. Node asks ten times, a second apart.
 *
 * @param keepAliveMs whole seconds, at least one; 0 asks for nothing.
 */
export function watchPeer({ socket, httpVersionMajor }: IncomingMessage, keepAliveMs: number): void {
  // The connection of HTTP/2 is not the stream's own.
  if (keepAliveMs > 0 && httpVersionMajor === 1) socket.setKeepAlive(true, keepAliveMs)
}
