import fc from 'fast-check'

/** A JSON Schema, as far as our schemas use it. */
type Schema = Readonly<Record<string, unknown>>

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const schemaOf = (value: unknown): Schema => (isSchema(value) ? value : {})
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
const numberOf = (value: unknown, otherwise: number) => (typeof value === 'number' ? value : otherwise)

/** Any JSON, with keys that reach a prototype and text that is no Unicode among it. */
export const anyJson = (): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
    { weight: 1, arbitrary: fc.constantFrom(null, -0, 2 ** 53, 1e308, -1, 0.5, '', '\0', '\r\n', '\ud800') },
    {
      weight: 1,
      arbitrary: fc.constantFrom('a'.repeat(20_000), [[[[[[]]]]]], { constructor: 1 }, { a: { b: {} } }),
    },
  )

/** Values that a property has by its name, instead of any that its schema takes. */
type OwnValues = Readonly<Record<string, fc.Arbitrary<unknown>>>

/** Values that a schema takes. @throws Error at a schema of a kind that it does not know. */
export function valuesOf(schema: unknown, own: OwnValues = {}): fc.Arbitrary<unknown> {
  const one = schemaOf(schema)
  if ('const' in one) return fc.constant(one.const)
  if ('enum' in one) return fc.constantFrom(...listOf(one.enum))
  const forms = one.anyOf ?? one.oneOf
  if (forms !== undefined) return fc.oneof(...listOf(forms).map((form) => valuesOf(form, own)))
  switch (one.type) {
    case undefined:
      return fc.jsonValue({ maxDepth: 2 })
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return fc.integer({ min: numberOf(one.minimum, -(2 ** 31)), max: numberOf(one.maximum, 2 ** 31) })
    case 'number':
      return fc.double({
        noNaN: true,
        noDefaultInfinity: true,
        min: numberOf(one.minimum, -1e300),
        max: numberOf(one.maximum, 1e300),
      })
    case 'string':
      return stringOf(one)
    case 'array':
      return fc.array(valuesOf(one.items, own), {
        minLength: numberOf(one.minItems, 0),
        maxLength: Math.min(numberOf(one.maxItems, 5), numberOf(one.minItems, 0) + 5),
      })
    case 'object':
      return objectOf(one, own)
    default:
      throw new Error(`There are no values for ${JSON.stringify(schema)}`)
  }
}

function stringOf({ pattern, minLength, maxLength, format }: Schema): fc.Arbitrary<string> {
  if (format === 'uri') return fc.webUrl()
  if (format === 'date-time') return fc.date({ noInvalidDate: true }).map((date) => date.toISOString())
  if (format !== undefined) throw new Error(`There is no text of the format ${String(format)}`)
  const min = numberOf(minLength, 0)
  const max = Math.min(numberOf(maxLength, 64), min + 64)
  if (typeof pattern !== 'string') return fc.string({ unit: 'binary', minLength: min, maxLength: max })
  const expected = new RegExp(pattern, 'u')
  const free = fc.string({ unit: 'binary', minLength: min, maxLength: max })
  const usual = fc.stringMatching(expected, { maxLength: max })
  // Patterns that only leave something out take nearly all text; the others are built from.
  return pattern.startsWith('^[^')
    ? free.filter((text) => expected.test(text))
    : usual.filter((text) => text.length >= min && text.length <= max)
}

function objectOf(schema: Schema, own: OwnValues): fc.Arbitrary<unknown> {
  const properties = Object.entries(schemaOf(schema.properties))
  const required = listOf(schema.required)
  const fields = fc.record(
    Object.fromEntries(properties.map(([key, value]) => [key, own[key] ?? valuesOf(value, own)])),
    {
      requiredKeys: properties.map(([key]) => key).filter((key) => required.includes(key)),
      noNullPrototype: true,
    },
  )
  const [values] = Object.values(schemaOf(schema.patternProperties))
  const others = values ?? schema.additionalProperties
  if (others === undefined || others === false || others === true) return fields
  // `__proto__` as a key would be no key of the object that is made of it.
  const keys = fc.string().filter((key) => key !== '__proto__')
  const more = fc.dictionary(keys, valuesOf(others, own), { maxKeys: 4, noNullPrototype: true })
  return fc.tuple(more, fields).map(([free, named]) => ({ ...free, ...schemaOf(named) }))
}

/** A value with one of its parts changed, taken away or added to, wherever in it. */
export function mutated(value: unknown, choice: number, instead: unknown): unknown {
  const isInner = typeof value === 'object' && value !== null
  if (!isInner || choice % 5 === 0) return instead
  const rest = Math.floor(choice / 5)
  if (Array.isArray(value)) {
    if (value.length === 0 || rest % 4 === 0) return [...value, instead]
    const at = rest % value.length
    return value.map((item, index) => (index === at ? mutated(item, rest, instead) : item))
  }
  const entries = Object.entries(value)
  if (entries.length === 0 || rest % 4 === 0) return { ...value, unknownKey: instead }
  const at = rest % entries.length
  if (rest % 4 === 1) return Object.fromEntries(entries.filter((_, index) => index !== at))
  return Object.fromEntries(
    entries.map(([key, item], index) => [key, index === at ? mutated(item, rest, instead) : item]),
  )
}
