import { HTTP_METHODS } from '@tributary/protocol'
import { defineTask, type HandlerResponse } from '@tributary/runs'
import Type from 'typebox'
import { callSuccessfully, readJson, targetUrl } from './http/json-call.ts'

/** The most bytes of an answer. */
export const MAX_ANSWER_BYTES = 262_144

/** What is posted where the input holds no body. */
const SAMPLE_ORDER = { product: 'Sample', quantity: 1 }

export default defineTask({
  name: 'Call Third-party API',
  input: Type.Object(
    {
      url: Type.Optional(
        Type.String({ minLength: 1, maxLength: 8192, description: 'Default: the orders of the sample API.' }),
      ),
      method: Type.Optional(Type.Enum(HTTP_METHODS, { description: 'Default POST.' })),
      body: Type.Optional(
        Type.Unknown({
          description: 'A string is sent as it is; any other JSON as JSON. Default: a sample order.',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  totalSteps: 2,
  async run(context, { url: givenUrl, method = 'POST', body: givenBody }) {
    const url = targetUrl(context, givenUrl, '/orders')
    const body = sends(method) ? (givenBody ?? SAMPLE_ORDER) : givenBody
    context.progress({ step: 0, message: `${method} ${url}` })
    const response = await callSuccessfully(context, {
      url,
      method,
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': contentType(body) }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      maxBytes: MAX_ANSWER_BYTES,
    })
    context.progress({ step: 1, message: `Answered ${response.status}` })
    const answer = readBody(url, response)
    context.progress({ step: 2 })
    return { url, method, status: response.status, body: answer }
  },
})

function sends(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH'
}

function contentType(body: unknown): string {
  return typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json'
}

/** Parsed where the answer says that it is JSON, `null` where there is nothing, text otherwise. */
function readBody(url: string, response: HandlerResponse): unknown {
  if (response.body.byteLength === 0) return null
  if (/\bjson\b/i.test(response.headers['content-type'] ?? '')) return readJson(url, response)
  return new TextDecoder().decode(response.body)
}
