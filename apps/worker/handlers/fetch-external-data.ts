import { defineTask } from '@tributary/runs'
import Type from 'typebox'
import { callSuccessfully, readJson, targetUrl } from './http/json-call.ts'

/** The most bytes of an answer. */
export const MAX_DATA_BYTES = 1_048_576

export default defineTask({
  name: 'Fetch External Data',
  input: Type.Object(
    {
      url: Type.Optional(
        Type.String({ minLength: 1, maxLength: 8192, description: 'Default: the orders of the sample API.' }),
      ),
    },
    { additionalProperties: false },
  ),
  idempotent: true,
  totalSteps: 2,
  async run(context, input) {
    const url = targetUrl(context, input.url, '/orders')
    const response = await callSuccessfully(context, {
      url,
      headers: { accept: 'application/json' },
      maxBytes: MAX_DATA_BYTES,
    })
    const bytes = response.body.byteLength
    context.progress({ step: 1, message: `Received ${bytes} bytes` })
    const data = readJson(url, response)
    const counts = { bytes, ...count(data) }
    context.progress({ step: 2, message: `Read ${counts.items} items` })
    return { url, status: response.status, data, counts }
  },
})

/** `items`: elements of an array, keys of an object, else 1. `values`: everything in it that holds nothing further. */
function count(data: unknown): { items: number; values: number } {
  return { items: isContainer(data) ? Object.keys(data).length : 1, values: countValues(data) }
}

function countValues(data: unknown): number {
  // A list of what is still to be looked at, as an answer may be nested deeper than the stack is.
  const pending = [data]
  let values = 0
  while (pending.length > 0) {
    const next = pending.pop()
    if (!isContainer(next)) values += 1
    else for (const item of Object.values(next)) pending.push(item)
  }
  return values
}

function isContainer(data: unknown): data is object {
  return typeof data === 'object' && data !== null
}
