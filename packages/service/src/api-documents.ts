import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { Problem } from '@tributary/protocol'
import type { FastifySchema } from 'fastify'
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
  headers: {
    'Retry-After': {
      description: 'Seconds to wait, where waiting helps.',
      schema: { type: 'string', pattern: '^[0-9]+$' },
    },
  },
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
  cookie: {
    type: 'apiKey',
    in: 'cookie',
    name: 'tributary_session',
    description: 'A session, where the service is configured for one; AUTH_SESSION_COOKIE says its name.',
  },
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
      return { url, schema: { ...withoutProduces(schema), security, response: responsesOf(schema) } }
    },
    transformObject: (document) => {
      if (!('openapiObject' in document)) return {}
      const { openapiObject } = document
      for (const operation of operationsOf(openapiObject.paths)) completeResponses(operation)
      openapiObject.components = {
        ...openapiObject.components,
        schemas: { ...openapiObject.components?.schemas, Problem },
      }
      return openapiObject
    },
  })
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true, uiConfig: { validatorUrl: null } })
}

const EVENT_STREAM = 'text/event-stream'
/** Of what starts a run. A stream that only tells its reader to come again has none. */
const runHeaders = (required: boolean) => ({
  'Run-Id': { description: 'The run.', required, schema: { type: 'string' } },
  Location: { description: 'Where the run stands.', required, schema: { type: 'string' } },
})

function withoutProduces({ produces: _, ...schema }: FastifySchema = {}): FastifySchema {
  return schema
}

/**
 * What a route answers: as its schemas say, and with 200 also the types of text that it `produces`. Streams may
 * answer 204 too, where nothing is left to read.
 */
function responsesOf({ response, produces = [] }: FastifySchema = {}): Record<string, unknown> {
  const said = isRecord(response) ? response : {}
  if (produces.length === 0) return said
  const isStream = produces.includes(EVENT_STREAM)
  const text = produces.map((type) => [type, { schema: { type: 'string' } }])
  return {
    ...said,
    200: {
      description: isStream ? 'The stream.' : 'The text.',
      content: {
        ...Object.fromEntries(text),
        ...(said[200] === undefined ? {} : { 'application/json': { schema: said[200] } }),
      },
    },
    ...(isStream ? { 204: { type: 'null', description: 'There is nothing left to read.' } } : {}),
  }
}

function operationsOf(paths: unknown): Record<string, unknown>[] {
  const items = isRecord(paths) ? Object.values(paths) : []
  return items.filter(isRecord).flatMap((item) => Object.values(item).filter(isRecord))
}

function completeResponses(operation: Record<string, unknown>): void {
  const said = isRecord(operation.responses) ? operation.responses : {}
  const responses: Record<string, unknown> = { ...said, default: PROBLEM_RESPONSE }
  if (isRecord(said[202])) {
    for (const status of [200, 202]) {
      const response = said[status]
      if (isRecord(response)) responses[status] = { ...response, headers: runHeaders(status === 202) }
    }
  }
  operation.responses = responses
}
