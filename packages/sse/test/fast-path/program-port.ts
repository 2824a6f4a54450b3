/** How the server is to be, as its argument says. */
export interface ProgramOptions {
  readonly tls?: boolean
  /** Listens there instead of on a port. */
  readonly socketPath?: string
}

/** What the test asks of the server. */
export type Question =
  | { readonly ask: 'stats' | 'close-app' | 'close-server' }
  | { readonly ask: 'advance'; readonly ms: number }

export interface ProgramStats {
  /** Streams since the start. */
  readonly streams: number
  /** Scripts that are through. */
  readonly played: number
  /** Events that readers went without. */
  readonly dropped: number
  /** How often responses of streams said `close`. */
  readonly closes: number
  /** What was made for requests of streams, and how much of it has been collected. */
  readonly tracked: number
  readonly collected: number
  /** Streams that are open, and places that are taken. */
  readonly open: number
  readonly admitted: number
  /** Sockets that the server counts. */
  readonly sockets: number
  readonly handles: number
  /** Open streams whose socket has no parser any more. */
  readonly taken: number
  /** What was made for the requests of open streams and is still there. */
  readonly alive: number
  readonly heldBytes: number
}
