import { Ajv, type Options } from 'ajv'
import addFormats from 'ajv-formats'
import type { FastifySchema } from 'fastify'
import type { FastifyRouteSchemaDef, FastifyValidationResult } from 'fastify/types/schema.js'

/** `verbose` gives each error its schema, which the problem's words are made from. */
const COMMON: Options = {
  allErrors: false,
  verbose: true,
  useDefaults: true,
  removeAdditional: false,
  strict: true,
  strictTypes: false,
  strictRequired: false,
  // OpenAPI's words in a schema are for the documents.
  keywords: ['example', 'xml', 'externalDocs', 'discriminator'],
}

/**
 * Checks requests by their route's schemas.
 *
 * JSON says of what type a value is, so a body is taken as it is. Query, parameters and headers are text, so
 * they become the numbers and booleans that their schema asks for. Headers go by their lower-case names.
 */
export class RequestValidator {
  readonly #body = withFormats({ ...COMMON, coerceTypes: false })
  readonly #text = withFormats({ ...COMMON, coerceTypes: true })

  compile({ schema, httpPart }: FastifyRouteSchemaDef<FastifySchema>): FastifyValidationResult {
    return (httpPart === 'body' ? this.#body : this.#text).compile(schema)
  }
}

function withFormats(options: Options): Ajv {
  const ajv = new Ajv(options)
  addFormats.default(ajv)
  return ajv
}
