import type { ErrorObject } from 'ajv'
import { isRecord, takesTypeOf } from './schema-shape.ts'

/**
 * The errors that say what to change.
 *
 * For a union Ajv lists what each of its forms found, then that none did. Of use is what the form found that
 * the sender meant: the one of the value's type that knows most of its keys. Where two are as likely, both
 * are told; where none is, that the value is of the wrong type.
 */
export function innermostErrors(errors: readonly ErrorObject[]): ErrorObject[] {
  const outermost = errors.at(-1)
  if (outermost === undefined) return []
  if (outermost.keyword !== 'anyOf' && outermost.keyword !== 'oneOf') return [outermost]
  const forms: unknown[] = Array.isArray(outermost.schema) ? outermost.schema : []
  const found = likeliest(forms, outermost.data).flatMap((index) =>
    innermostErrors(
      errors.filter((error) => error.schemaPath.startsWith(`${outermost.schemaPath}/${index}/`)),
    ),
  )
  return found.length === 0 ? [outermost] : found
}

/** The places of the forms that the value most looks like. */
function likeliest(forms: readonly unknown[], value: unknown): number[] {
  const candidates = forms
    .map((form, index) => ({ index, likeness: likeness(form, value) }))
    .filter(({ index }) => takesTypeOf(forms[index], value))
  const best = Math.max(...candidates.map((candidate) => candidate.likeness))
  return candidates.filter((candidate) => candidate.likeness === best).map(({ index }) => index)
}

/** Keys that the form knows, less those it does not know and those it misses. */
function likeness(form: unknown, value: unknown): number {
  if (!isRecord(form) || !isRecord(form.properties) || !isRecord(value)) return 0
  const known = form.properties
  const required = Array.isArray(form.required) ? form.required : []
  const keys = Object.keys(value).map((key) => (Object.hasOwn(known, key) ? 1 : -1))
  const missing = required.filter((key) => !Object.hasOwn(value, key))
  return keys.reduce<number>((sum, score) => sum + score, 0) - missing.length
}
