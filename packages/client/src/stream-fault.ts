import { ERROR_CATEGORIES, type ErrorCategory, type Fault, RECOVERIES } from '@tributary/protocol'

/** What is said of a connection that failed, or broke. */
export const CONNECTION_FAULT = { category: 'connection', recovery: 'retry', retryable: true } as const
/** What is said of a stream on which nothing came for too long. */
export const SILENT_FAULT = { category: 'timeout', recovery: 'retry', retryable: true } as const
/** What is said of an answer that is not what it should be, and would not be the next time. */
export const FOREIGN_ANSWER = { category: 'server', recovery: 'none', retryable: false } as const

/** What a problem answer says of itself; `undefined` where it is none, or not one of ours. */
export function faultOfProblem(body: string): Fault | undefined {
  const problem = parse(body)
  const category = ERROR_CATEGORIES.find((one) => one === problem.category)
  const recovery = RECOVERIES.find((one) => one === problem.recovery)
  return category === undefined || recovery === undefined ? undefined : { category, recovery }
}

/** What can be told from the status alone. */
export function faultOfStatus(status: number, retryable: boolean): Fault {
  if (status === 401) return { category: 'authentication', recovery: 'reauthenticate' }
  return { category: categoryOf(status), recovery: retryable ? 'retry' : 'none' }
}

function categoryOf(status: number): ErrorCategory {
  if (status === 403) return 'authentication'
  if (status === 429) return 'rate_limit'
  if (status === 408 || status === 504) return 'timeout'
  if (status === 400 || status === 422) return 'validation'
  return status >= 500 ? 'server' : 'client'
}

function parse(text: string): { category?: unknown; recovery?: unknown } {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
