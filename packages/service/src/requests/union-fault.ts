import type { ErrorObject } from 'ajv'
import { isRecord, takesTypeOf } from '../schema-shape.ts'

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
  const named = namedForm(forms, outermost)
  if (typeof named === 'object') return [named]
  const found = (named === undefined ? likeliest(forms, outermost.data) : [named]).flatMap((index) =>
    innermostErrors(
      errors.filter((error) => error.schemaPath.startsWith(`${outermost.schemaPath}/${index}/`)),
    ),
  )
  return found.length === 0 ? [outermost] : found
}

/**
 * Where each form has its own constant under the same key, the form that the value names; the error that it names none
 * of them; `undefined` where the forms are not told apart in this way, or the value has no such key.
 */
function namedForm(forms: readonly unknown[], error: ErrorObject): number | ErrorObject | undefined {
  const { data, instancePath } = error
  const [first] = forms
  if (!isRecord(data) || !isRecord(first) || !isRecord(first.properties)) return undefined
  for (const key of Object.keys(first.properties)) {
    const names = forms.map((form) => constantOf(form, key))
    if (names.includes(undefined) || !Object.hasOwn(data, key)) continue
    const index = names.indexOf(data[key])
    if (index !== -1) return index
    return {
      ...error,
      instancePath: `${instancePath}/${key}`,
      keyword: 'enum',
      params: { allowedValues: names },
    }
  }
  return undefined
}

function constantOf(form: unknown, key: string): unknown {
  if (!isRecord(form) || !isRecord(form.properties)) return undefined
  const property = form.properties[key]
  return isRecord(property) ? property.const : undefined
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
