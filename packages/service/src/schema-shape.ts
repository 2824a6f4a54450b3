/** A schema or a value, looked into. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** JSON Schema's name for the type of a JSON value; `number` covers `integer`. */
function jsonType(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

/** The types that a schema takes; empty where it does not say. */
export function schemaTypes(schema: unknown): string[] {
  if (!isRecord(schema)) return []
  if ('const' in schema) return [jsonType(schema.const)]
  if (Array.isArray(schema.enum)) return [...new Set(schema.enum.map(jsonType))]
  if (typeof schema.type === 'string') return [schema.type]
  if (Array.isArray(schema.type)) return schema.type.filter((type) => typeof type === 'string')
  const union = schema.anyOf ?? schema.oneOf
  return Array.isArray(union) ? [...new Set(union.flatMap(schemaTypes))] : []
}

/** Whether a schema could take a value, as far as their types say. */
export function takesTypeOf(schema: unknown, value: unknown): boolean {
  const types = schemaTypes(schema)
  const type = jsonType(value)
  return types.length === 0 || types.includes(type) || (type === 'number' && types.includes('integer'))
}

const WORDS: Readonly<Record<string, string>> = {
  integer: 'a whole number',
  number: 'a number',
  string: 'a string',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
  null: 'null',
}

/** Types in words: `a string or an object`. */
export function typeWords(types: readonly string[]): string {
  return types.map((type) => WORDS[type] ?? type).join(' or ')
}
