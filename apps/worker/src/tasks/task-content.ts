import { type HttpTask, isHeaderName, isHeaderValue, isSecretRef } from '@tributary/protocol'
import { refuseTask, type TaskPlace } from '@tributary/runs'
import { secretRefused, type TaskSecrets } from './task-secrets.ts'

/** What a task sends, before its secrets are put in. */
export interface PlannedContent {
  readonly headers: Readonly<Record<string, string>>
  /** Header and secret, of those headers whose value is one. */
  readonly secretHeaders: readonly (readonly [name: string, secret: string])[]
  readonly body: string | undefined
  /** What `body` is the JSON of, where secrets may be named in it. */
  readonly template: unknown
  /** Whether a credential of it was kept in memory alone, by a process that is no more. */
  readonly withheld: boolean
}

/** What the HTTP client decides: the framing of the request, and whom it goes to. */
const OWN_HEADERS = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
])

/** Headers go as given; a body that is not text goes as JSON, and says so unless its headers say otherwise. */
export function plannedContent(task: HttpTask, place: TaskPlace): PlannedContent {
  const headers: Record<string, string> = {}
  const secretHeaders: [string, string][] = []
  let withheld = false
  for (const [name, value] of Object.entries(task.headers ?? {})) {
    if (!isHeaderName(name) || (typeof value === 'string' && !isHeaderValue(value))) {
      throw refuseTask(place, 'headers', `${JSON.stringify(name)} is not a header that HTTP allows`)
    }
    if (OWN_HEADERS.has(name.toLowerCase())) {
      throw refuseTask(place, 'headers', `"${name}" is set by the client itself; leave it out`)
    }
    if (typeof value === 'string') headers[name] = value
    else if (isSecretRef(value)) secretHeaders.push([name, value.$secret])
    else withheld = true
  }
  if (task.body === undefined || typeof task.body === 'string') {
    return { headers, secretHeaders, body: task.body, template: undefined, withheld }
  }
  const named = Object.keys(task.headers ?? {}).some((name) => name.toLowerCase() === 'content-type')
  if (!named) headers['content-type'] = 'application/json'
  const body = JSON.stringify(task.body)
  const isTemplate = typeof task.body === 'object' && task.body !== null && body.includes('"$secret"')
  return { headers, secretHeaders, body, template: isTemplate ? task.body : undefined, withheld }
}

/** What a task sends, and what of it may not leave the origin. */
export interface SentContent {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly secretHeaders: readonly string[]
  readonly secretBody: boolean
}

/**
 * Puts the secrets in, for a call of this address.
 *
 * @throws OutboundError `secret_refused` where one is not known, is not meant for the address, or does not fit a header.
 */
export function sentContent(
  { headers, secretHeaders, body, template }: PlannedContent,
  url: URL,
  secrets: TaskSecrets,
): SentContent {
  if (secretHeaders.length === 0 && template === undefined) {
    return { headers, body, secretHeaders: [], secretBody: false }
  }
  const all: Record<string, string> = { ...headers }
  for (const [name, secret] of secretHeaders) {
    const value = secrets.valueFor(secret, url)
    if (!isHeaderValue(value)) throw secretRefused(secret)
    all[name] = value
  }
  const sent = { headers: all, secretHeaders: secretHeaders.map(([name]) => name) }
  if (template === undefined) return { ...sent, body, secretBody: false }
  let secretBody = false
  // Nothing is assigned on the way, so no key of the body can be more than a key.
  const filled = JSON.stringify(template, (_key, value: unknown) => {
    if (!isSecretRef(value)) return value
    secretBody = true
    return secrets.valueFor(value.$secret, url)
  })
  return { ...sent, body: filled, secretBody }
}
