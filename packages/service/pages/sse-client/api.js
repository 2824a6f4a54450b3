/** What a development server lets in, and so what is sent where no token was given. */
const DEFAULT_TOKEN = 'test-token'

/** A request that was refused, or that did not get through. */
export class ApiError extends Error {
  /** @override */
  name = 'ApiError'

  /**
   * @param {string} message
   * @param {{status?: number, code?: string, cause?: unknown}} [options]
   */
  constructor(message, { status = 0, code = '', cause } = {}) {
    super(message, { cause })
    this.status = status
    this.code = code
  }
}

/** The service that this page came from, as the bearer of a token. */
export class Api {
  #givenToken

  /** @param {() => string} givenToken what is in the token field */
  constructor(givenToken) {
    this.#givenToken = givenToken
  }

  get #token() {
    return this.#givenToken().trim() || DEFAULT_TOKEN
  }

  /**
   * The address of a GET stream. It bears the token, since an EventSource sends no headers.
   *
   * @param {string} path
   * @param {Record<string, string>} query
   */
  streamUrl(path, query) {
    return withQuery(path, { ...query, token: this.#token })
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<any>} the answer's JSON
   * @throws {ApiError}
   */
  async call(method, path, body) {
    const response = await this.request(method, path, { body, accept: 'application/json' })
    return response.json()
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{body?: unknown, accept: string, signal?: AbortSignal}} options
   * @returns {Promise<Response>} of a 2xx
   * @throws {ApiError}
   */
  async request(method, path, { body, accept, signal }) {
    const response = await this.#fetch(method, path, { body, accept, signal: signal ?? null })
    if (response.ok) return response
    const problem = await response.json().catch(() => ({}))
    throw new ApiError(problemText(problem, response.status), {
      status: response.status,
      code: problem?.code,
    })
  }

  /**
   * The status that an address would be answered with, found out without starting anything.
   *
   * @param {string} url
   * @returns {Promise<number>} 0 where there is no answer
   */
  async statusOf(url) {
    try {
      return (await fetch(url, { method: 'HEAD', cache: 'no-store' })).status
    } catch {
      return 0
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{body: unknown, accept: string, signal: AbortSignal | null}} options
   */
  async #fetch(method, path, { body, accept, signal }) {
    const content =
      body === undefined
        ? { headers: {} }
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    try {
      const headers = { ...content.headers, accept, 'x-auth-token': this.#token }
      return await fetch(path, { ...content, method, headers, signal, cache: 'no-store' })
    } catch (cause) {
      if (signal?.aborted) throw cause
      throw new ApiError('The server cannot be reached.', { cause })
    }
  }
}

/**
 * @param {string} path
 * @param {Record<string, string>} query
 */
export function withQuery(path, query) {
  const search = new URLSearchParams(query).toString()
  if (search === '') return path
  return `${path}${path.includes('?') ? '&' : '?'}${search}`
}

/**
 * What a problem answer (RFC 9457) says, in a line.
 *
 * @param {any} problem
 * @param {number} status
 */
function problemText(problem, status) {
  const text = problem?.detail ?? problem?.title
  return typeof text === 'string' ? text : `The server answered ${status}.`
}

/**
 * What a failed action tells its user.
 *
 * @param {unknown} error
 */
export function errorText(error) {
  if (error instanceof ApiError && error.status > 0) {
    return `${error.message} (${error.status}${error.code ? `, ${error.code}` : ''})`
  }
  return error instanceof Error ? error.message : String(error)
}
