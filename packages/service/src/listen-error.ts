/** Where a service listens, and by which variables one changes it. */
export interface ListenAddress {
  readonly host: string
  readonly port: number
  /** Default `HOST`. */
  readonly hostVariable?: string
  readonly portVariable: string
}

interface ListenError extends Error {
  readonly code: string
}

const CODES = ['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL', 'EAFNOSUPPORT']

/** Whether an error says that an address cannot be listened on. */
export function isListenError(error: unknown): error is ListenError {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && CODES.includes(error.code)
  )
}

/** One line that says why, and what to change. */
export function listenErrorMessage({ code }: ListenError, address: ListenAddress): string {
  const { host, port, portVariable, hostVariable = 'HOST' } = address
  switch (code) {
    case 'EADDRINUSE':
      return `port ${port} on ${host} is in use; set ${portVariable} to another one`
    case 'EACCES':
      return `port ${port} on ${host} may not be used by this user; set ${portVariable} to one above 1023`
    default:
      return `"${host}" is no address of this machine (${code}); set ${hostVariable} to one, such as 127.0.0.1`
  }
}
