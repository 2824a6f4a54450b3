import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

/** An answer to a request, as far as an OpenAPI document can speak of it. */
export interface GivenAnswer {
  readonly method: string
  /** Of the route, as `/runs/:id`. */
  readonly url: string
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  /** Default: it is not looked at, as that of a stream. */
  readonly body?: string
}

type Part = Readonly<Record<string, unknown>>
const partOf = (value: unknown): Part | undefined =>
  typeof value === 'object' && value !== null ? { ...value } : undefined

/** Holds answers against an OpenAPI 3.1 document. */
export class AnswerCheck {
  readonly #document: Part
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true })
  readonly #compiled = new Map<unknown, ValidateFunction>()

  constructor(document: object) {
    this.#document = { ...document }
    addFormats.default(this.#ajv)
  }

  /** What is not as the document says; `undefined` where all is. */
  faultOf(answer: GivenAnswer): string | undefined {
    const said = this.#fault(answer)
    return said === undefined ? undefined : `${answer.method} ${answer.url} → ${answer.status}: ${said}`
  }

  #fault({ method, url, status, headers, body }: GivenAnswer): string | undefined {
    const path = url.replace(/:(\w+)/g, '{$1}')
    const methods = partOf(partOf(this.#document.paths)?.[path])
    const operation = partOf(methods?.[method === 'HEAD' ? 'get' : method.toLowerCase()])
    if (operation === undefined) return 'the route is not documented'
    const responses = partOf(operation.responses)
    // A default is there for problems; that something went well has to be said.
    const response = partOf(responses?.[status] ?? (status >= 400 ? responses?.default : undefined))
    if (response === undefined) return 'the status is not documented'
    const missing = Object.keys(partOf(response.headers) ?? {}).filter(
      (name) =>
        partOf(partOf(response.headers)?.[name])?.required === true &&
        headers[name.toLowerCase()] === undefined,
    )
    if (missing.length > 0) return `it lacks the header ${missing.join(', ')}`
    return method === 'HEAD' ? undefined : this.#contentFault(partOf(response.content), headers, body)
  }

  #contentFault(content: Part | undefined, headers: Part, body: string | undefined): string | undefined {
    const type =
      String(headers['content-type'] ?? '')
        .split(';')[0]
        ?.trim() ?? ''
    if (content === undefined) return body ? `a body is not documented: ${body.slice(0, 200)}` : undefined
    const media = partOf(content[type])
    if (media === undefined) return `the type ${type || 'of nothing'} is not documented`
    if (body === undefined || !/[/+]json$/.test(type)) return undefined
    const validate = this.#compile(content[type], media.schema)
    if (validate(JSON.parse(body))) return undefined
    return `${this.#ajv.errorsText(validate.errors)}: ${body.slice(0, 500)}`
  }

  #compile(key: unknown, schema: unknown): ValidateFunction {
    const known = this.#compiled.get(key)
    if (known !== undefined) return known
    // With the document's components in it, so that its references can be followed.
    const validate = this.#ajv.compile({ ...partOf(schema), components: this.#document.components })
    this.#compiled.set(key, validate)
    return validate
  }
}
