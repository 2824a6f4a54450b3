import Type, { type TSchema } from 'typebox'
import { isRecord } from '../schema-shape.ts'

/** The value that a variable's text stands for; undefined where the schema cannot have it. */
export function parseEnvValue(schema: TSchema, text: string): unknown {
  if (Type.IsInteger(schema) || Type.IsNumber(schema)) return parseNumber(text)
  if (Type.IsBoolean(schema)) return BOOLEANS[text.toLowerCase()]
  if (Type.IsArray(schema)) return parseList(schema.items, text)
  if (isCorsOrigin(schema) && text === '*') return text
  if (isOrigin(schema)) return isHttpOrigin(text) ? text : undefined
  return isWebAddress(schema) && !isHttpUrl(text) ? undefined : text
}

const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false }

// Number() alone would take 0x10, 1e3 and Infinity, which nobody means.
function parseNumber(text: string): number | undefined {
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined
}

function parseList(items: TSchema, text: string): unknown[] | undefined {
  const parts = text.split(',').map((part) => part.trim())
  const values = parts.filter((part) => part !== '').map((part) => parseEnvValue(items, part))
  return values.includes(undefined) ? undefined : values
}

/** What a variable must be, in words that follow on `must be`: `a whole number from 0 to 65535`. */
export function expectation(schema: TSchema): string {
  if (Type.IsInteger(schema)) return `a whole number${range(schema)}`
  if (Type.IsNumber(schema)) return `a number${range(schema)}`
  if (Type.IsBoolean(schema)) return 'true or false'
  if (Type.IsArray(schema)) return `a comma-separated list, each ${expectation(schema.items)}`
  if (Type.IsEnum(schema)) return `one of ${schema.enum.join(', ')}`
  if (isCorsOrigin(schema)) return 'an http or https address without a path, or *'
  if (isOrigin(schema)) return 'an http or https address without a path'
  if (isWebAddress(schema)) return 'an http or https address'
  return `text${length(schema)}${pattern(schema)}`
}

function range(schema: object): string {
  const { minimum, maximum } = isRecord(schema) ? schema : {}
  if (minimum !== undefined && maximum !== undefined) return ` from ${String(minimum)} to ${String(maximum)}`
  if (minimum !== undefined) return `, at least ${String(minimum)}`
  return maximum === undefined ? '' : `, at most ${String(maximum)}`
}

function length(schema: object): string {
  const { minLength, maxLength } = isRecord(schema) ? schema : {}
  if (minLength !== undefined && maxLength !== undefined) {
    return ` of ${String(minLength)} to ${String(maxLength)} characters`
  }
  if (minLength !== undefined) return ` of at least ${String(minLength)} characters`
  return maxLength === undefined ? '' : ` of at most ${String(maxLength)} characters`
}

function pattern(schema: object): string {
  return 'pattern' in schema ? ` that matches ${String(schema.pattern)}` : ''
}

function isWebAddress(schema: object): boolean {
  return 'format' in schema && (schema.format === 'uri' || schema.format === 'url')
}

function isHttpUrl(text: string): boolean {
  const protocol = URL.parse(text)?.protocol
  return protocol === 'http:' || protocol === 'https:'
}

function isOrigin(schema: object): boolean {
  return ('format' in schema && schema.format === 'origin') || isCorsOrigin(schema)
}

/** An origin, or `*` for all. */
function isCorsOrigin(schema: object): boolean {
  return 'format' in schema && schema.format === 'cors-origin'
}

// What is more than an origin would be dropped in silence, and more be allowed than was meant.
function isHttpOrigin(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && isHttpUrl(text) && url.href === `${url.origin}/`
}
