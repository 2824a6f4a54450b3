import { flattenHeaders, isRetryableStatus, type OutboundClient } from '@tributary/outbound'
import type { TaskErrorCode, TaskResult } from '@tributary/protocol'
import { sentContent } from './task-content.ts'
import type { PlannedHttpTask } from './task-plan.ts'
import { isJson, taskResult } from './task-result.ts'
import type { TaskSecrets } from './task-secrets.ts'

/** An answer whose status says that the call failed. */
export class HttpStatusError extends Error {
  override readonly name = 'HttpStatusError'
  readonly code: Extract<TaskErrorCode, 'http_4xx' | 'http_5xx'>
  readonly status: number
  readonly retryable: boolean
  /** The answer's `Retry-After`, where it had one. */
  readonly retryAfter: string | string[] | undefined

  constructor(status: number, retryAfter: string | string[] | undefined) {
    super(`HTTP ${status}`)
    this.status = status
    this.code = status >= 500 ? 'http_5xx' : 'http_4xx'
    this.retryable = isRetryableStatus(status)
    this.retryAfter = retryAfter
  }
}

export interface HttpCallOptions {
  readonly client: OutboundClient
  readonly secrets: TaskSecrets
  /** Ends the attempt, whatever it is at. */
  readonly signal: AbortSignal
  /** Bytes of an answer. JSON beyond it is an error; other bodies are cut. */
  readonly maxBodyBytes: number
  readonly maxResultBytes: number
  /** Called as bytes come, where the answer says how many there will be. */
  readonly onBytes: (received: number, total: number) => void
}

/** What is read of a failed call's answer, so that its connection can be used again. */
const ERROR_BODY_LIMIT = { maxBytes: 65_536, overflow: 'truncate' } as const

/**
 * One attempt of an HTTP task.
 *
 * @throws HttpStatusError on 4xx and 5xx; OutboundError `secret_refused`, before anything is sent; what the client throws.
 */
export async function callHttp(task: PlannedHttpTask, options: HttpCallOptions): Promise<TaskResult> {
  const { client, secrets, signal, maxBodyBytes, maxResultBytes, onBytes } = options
  const { url, method, timeoutMs } = task
  const answer = await client.exchange({
    url,
    method,
    ...sentContent(task, url, secrets),
    signal,
    timeoutMs,
    limitOf: (status, { 'content-type': contentType }) => {
      if (status >= 400) return ERROR_BODY_LIMIT
      return { maxBytes: maxBodyBytes, overflow: isJson(contentType) ? 'error' : 'truncate' }
    },
    onBytes: (received, total) => {
      if (total !== undefined && total > 0) onBytes(received, total)
    },
  })
  const { status, bytes, truncated } = answer
  if (status >= 400) throw new HttpStatusError(status, answer.headers['retry-after'])
  // What an API would have a browser keep is a credential, and not for whoever reads the run.
  const { 'set-cookie': _cookies, ...headers } = answer.headers
  return taskResult({ status, headers: flattenHeaders(headers), body: bytes, truncated }, maxResultBytes)
}
