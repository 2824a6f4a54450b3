import type { ErrorObject } from 'ajv'
import { isRecord, schemaTypes, typeWords } from '../schema-shape.ts'

/** A fault in words that follow on its place: `must be a string`. */
export interface SchemaFault {
  /** The key of the object at the error's place that the fault is about. */
  readonly key?: string
  readonly message: string
}

/** The most keys that are listed to somebody who used an unknown one. */
const MAX_LISTED_KEYS = 20

/** Says what a value must be to pass. The error is of an Ajv with `verbose`, so that it brings its schema. */
export function describeFault({ keyword, params, schema, parentSchema, message }: ErrorObject): SchemaFault {
  const limit = String(params.limit)
  switch (keyword) {
    case 'required':
      return { key: String(params.missingProperty), message: 'is required' }
    case 'additionalProperties':
      return { key: String(params.additionalProperty), message: unknownKey(parentSchema) }
    case 'type':
      return { message: `must be ${typeWords([params.type].flat().map(String))}` }
    case 'anyOf':
    case 'oneOf':
      return { message: unionMessage(schema) }
    case 'enum':
      return { message: `must be one of ${list(params.allowedValues)}` }
    case 'const':
      return { message: `must be ${JSON.stringify(params.allowedValue)}` }
    case 'minimum':
      return { message: `must be at least ${limit}` }
    case 'maximum':
      return { message: `must be at most ${limit}` }
    case 'minLength':
      return { message: limit === '1' ? 'must not be empty' : `must have at least ${limit} characters` }
    case 'maxLength':
      return { message: `must have at most ${limit} characters` }
    case 'minItems':
      return { message: limit === '1' ? 'must not be empty' : `must have at least ${limit} items` }
    case 'maxItems':
      return { message: `must have at most ${limit} items` }
    case 'pattern':
      return { message: `must match ${String(params.pattern)}${meaning(parentSchema)}` }
    case 'format':
      return { message: `must be a valid ${String(params.format)}${meaning(parentSchema)}` }
    default:
      return { message: message ?? 'is not valid' }
  }
}

function unknownKey(parent: unknown): string {
  const known = isRecord(parent) && isRecord(parent.properties) ? Object.keys(parent.properties) : []
  if (known.length === 0) return 'is not a known key; remove it'
  const more = known.length > MAX_LISTED_KEYS ? ', …' : ''
  return `is not a known key; the keys are ${known.slice(0, MAX_LISTED_KEYS).join(', ')}${more}`
}

function unionMessage(branches: unknown): string {
  const types = schemaTypes({ anyOf: branches })
  return types.length === 0
    ? 'must be one of the forms that the API documents list'
    : `must be ${typeWords(types)}`
}

function list(values: unknown): string {
  return Array.isArray(values) ? values.map((value) => JSON.stringify(value)).join(', ') : String(values)
}

function meaning(parent: unknown): string {
  return isRecord(parent) && typeof parent.description === 'string'
    ? ` (${parent.description.replace(/\.$/, '')})`
    : ''
}
