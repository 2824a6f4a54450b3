import { HandlerResultError } from './handler-error.ts'

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue | undefined }

/** How deep a result may be nested. Also what ends the walk of one that holds itself. */
export const MAX_RESULT_DEPTH = 200

/**
 * Checks that a value is JSON as it stands, so that nothing is lost or changed without a word on its way to the log.
 * A property that is `undefined` counts as absent.
 *
 * @throws HandlerResultError naming where and what the first thing is that is not.
 */
export function assertJson(value: unknown, path = 'result', depth = 0): asserts value is JsonValue {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) refuse(path, `${value}, which JSON cannot hold`)
    return
  }
  if (typeof value !== 'object') refuse(path, describe(value))
  if (depth >= MAX_RESULT_DEPTH) refuse('result', `nested deeper than ${MAX_RESULT_DEPTH}, or holds itself`)
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) assertJson(value[i], `${path}[${i}]`, depth + 1)
    return
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) refuse(path, describe(value))
  for (const [key, item] of Object.entries(value)) {
    if (item !== undefined) assertJson(item, `${path}.${key}`, depth + 1)
  }
}

function describe(value: unknown): string {
  if (value === undefined) return 'undefined'
  if (typeof value !== 'object' || value === null) return `a ${typeof value}`
  const { name } = value.constructor
  return `of class ${name === '' ? '(anonymous)' : name}, not a plain object`
}

function refuse(path: string, what: string): never {
  throw new HandlerResultError(`The result is not JSON: ${path} is ${what}`)
}
