import Type, { type Static } from 'typebox'

/** What a secret may be called. */
export const SECRET_NAME = '^[A-Za-z_][A-Za-z0-9_.-]{0,127}$'
const secretName = new RegExp(SECRET_NAME)

/** Names a secret of the worker's configuration, which puts its value there when it makes the call. */
export const SecretRef = Type.Object(
  { $secret: Type.String({ pattern: SECRET_NAME, description: 'The name of a secret of the worker.' }) },
  { additionalProperties: false },
)
export type SecretRef = Static<typeof SecretRef>

/** Stands in a stored request for a credential, which is never stored. A task with one ends in `worker_lost`. */
const WithheldValue = Type.Object({ $withheld: Type.Literal(true) }, { additionalProperties: false })

/** The value of a task's header. */
export const TaskHeader = Type.Union([Type.String({ maxLength: 16_384 }), SecretRef, WithheldValue])
export type TaskHeader = Static<typeof TaskHeader>

/** Whether a value is an object of nothing but `$secret` and a name. Anything else is what it says, literally. */
export function isSecretRef(value: unknown): value is SecretRef {
  if (typeof value !== 'object' || value === null || !('$secret' in value)) return false
  return (
    Object.keys(value).length === 1 && typeof value.$secret === 'string' && secretName.test(value.$secret)
  )
}

/** Headers whose values are credentials, in lower case. SENSITIVE_HEADERS names further ones. */
const SENSITIVE_HEADERS = ['authorization', 'cookie', 'proxy-authorization', 'x-api-key', 'x-auth-token']

/** The names of all headers whose values are kept in memory alone, in lower case. */
export function sensitiveHeaders(further: readonly string[] = []): ReadonlySet<string> {
  return new Set([...SENSITIVE_HEADERS, ...further.map((name) => name.toLowerCase())])
}
