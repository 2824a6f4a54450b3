import { type HandlerRequest, type HandlerResponse, type TaskContext, TaskError } from '@tributary/runs'

/** Where a call goes: the URL of the input, or a path of the sample API. */
export function targetUrl({ sampleUrl }: TaskContext, url: string | undefined, samplePath: string): string {
  if (url !== undefined) return url
  if (sampleUrl === undefined) {
    throw new TaskError('`url` is needed: there is no sample API in production to call instead')
  }
  return `${sampleUrl.replace(/\/$/, '')}${samplePath}`
}

/** @throws TaskError `http_4xx` or `http_5xx` for any answer but a 2xx. */
export async function callSuccessfully(
  context: TaskContext,
  request: HandlerRequest,
): Promise<HandlerResponse> {
  const response = await context.request(request)
  const { status } = response
  if (status >= 200 && status <= 299) return response
  // What is in a query may be a credential.
  context.log.warn('refused by the API', { url: request.url.split('?', 1)[0], status })
  throw new TaskError(`${request.url} answered ${status}`, {
    code: status >= 500 ? 'http_5xx' : 'http_4xx',
    retryable: status >= 500 || status === 429,
  })
}

/** @throws TaskError `invalid_json` */
export function readJson(url: string, { headers, body }: HandlerResponse): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch (cause) {
    const type = headers['content-type'] ?? 'no content type'
    throw new TaskError(`${url} answered something that is not JSON (${type})`, {
      code: 'invalid_json',
      cause,
    })
  }
}
