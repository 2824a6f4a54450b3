import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { Problem } from '@tributary/protocol'
import type { App } from './app.ts'
import { isRecord } from './schema-shape.ts'

/** What the API documents say of the service as a whole. */
export interface ApiDescription {
  /** Their title. */
  readonly name: string
  readonly version: string
  readonly description: string
}

const PROBLEM_RESPONSE = {
  description: 'What went wrong (RFC 9457); programs decide by its `code`.',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
}

/** The ways in which a token comes; any one of them will do. */
const CARRIERS = {
  query: {
    type: 'apiKey',
    in: 'query',
    name: 'token',
    description: 'Where no header can be sent, as by an EventSource.',
  },
  bearer: { type: 'http', scheme: 'bearer' },
  header: { type: 'apiKey', in: 'header', name: 'X-Auth-Token' },
} as const

/**
 * Adds the API documents: pages at `/docs`, OpenAPI 3.1 at `/docs/json`, both made from the routes' schemas.
 *
 * Routes must be added after it. Its pages come from this server alone.
 */
export async function documentApi(app: App, { name, version, description }: ApiDescription): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: name, version, description },
      components: { securitySchemes: CARRIERS },
    },
    convertConstToEnum: false,
    transform: ({ schema, url, route }) => {
      const security =
        route.config?.auth === 'required' ? Object.keys(CARRIERS).map((one) => ({ [one]: [] })) : []
      return { url, schema: { ...schema, security } }
    },
    transformObject: (document) => {
      if (!('openapiObject' in document)) return {}
      const { openapiObject } = document
      for (const operation of operationsOf(openapiObject.paths)) addProblem(operation)
      openapiObject.components = {
        ...openapiObject.components,
        schemas: { ...openapiObject.components?.schemas, Problem },
      }
      return openapiObject
    },
  })
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true, uiConfig: { validatorUrl: null } })
}

function operationsOf(paths: unknown): Record<string, unknown>[] {
  const items = isRecord(paths) ? Object.values(paths) : []
  return items.filter(isRecord).flatMap((item) => Object.values(item).filter(isRecord))
}

function addProblem(operation: Record<string, unknown>): void {
  const responses = isRecord(operation.responses) ? operation.responses : {}
  operation.responses = { ...responses, default: PROBLEM_RESPONSE }
}
