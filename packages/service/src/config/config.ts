import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import Type, { type Static, type TObject } from 'typebox'
import { Value } from 'typebox/value'
import { ConfigError } from './config-error.ts'
import { expectation, parseEnvValue } from './env-value.ts'

/** Environment variables, as `process.env` has them. */
export type Env = Readonly<Record<string, string | undefined>>

export interface ReadConfigOptions {
  /** Variables whose value no message may show. */
  readonly secretNames?: readonly string[]
}

/**
 * Reads a configuration from environment variables: the schema's keys are their names.
 *
 * Text becomes what the schema asks for: whole numbers, numbers, booleans (`true`, `false`, `1`, `0`), lists
 * (comma-separated), enums. White space around a value is cut, and an empty
 * variable counts as absent. The answer is frozen.
 *
 * @throws ConfigError that names every fault, not just the first.
 */
export function readConfig<T extends TObject>(
  schema: T,
  env: Env,
  options: ReadConfigOptions = {},
): Readonly<Static<T>> {
  const secrets = new Set(options.secretNames)
  const faults: string[] = []
  const values: Record<string, unknown> = {}
  for (const [name, property] of Object.entries(schema.properties)) {
    const text = env[name]?.trim() ?? ''
    const value = text === '' ? structuredClone(defaultOf(property)) : parseEnvValue(property, text)
    if (value !== undefined && Value.Check(property, value)) values[name] = Object.freeze(value)
    else if (text !== '')
      faults.push(
        `${name} must be ${expectation(property)}${secrets.has(name) ? '' : `, not ${JSON.stringify(withoutPassword(text))}`}`,
      )
    else if (!Type.IsOptional(property)) faults.push(`${name} must be set: ${expectation(property)}`)
  }
  if (faults.length > 0) throw new ConfigError(faults)
  if (!Value.Check(schema, values))
    throw new ConfigError(['The configuration does not hold together as a whole'])
  return Object.freeze(values)
}

function defaultOf(schema: object): unknown {
  return 'default' in schema ? schema.default : undefined
}

/**
 * The variables of the `.env` file in a directory, and those that are set already, which win.
 *
 * Nothing is changed in `env`. A missing file is none.
 *
 * @throws ConfigError where there is a file that cannot be read.
 */
export function withEnvFile(env: Env, directory: string): Env {
  const path = join(directory, '.env')
  try {
    return { ...parseEnv(readFileSync(path, 'utf8')), ...env }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return env
    throw new ConfigError(
      [`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`],
      {
        cause: error,
      },
    )
  }
}

/** The configuration for people, a line a variable, without the values of secrets and of passwords in addresses. */
export function describeConfig(
  config: Readonly<Record<string, unknown>>,
  secretNames: readonly string[] = [],
): string {
  return Object.entries(config)
    .map(([name, value]) => `${name}=${secretNames.includes(name) ? '[secret]' : shown(value)}`)
    .join('\n')
}

function shown(value: unknown): string {
  return [value].flat().map(withoutPassword).join(',')
}

function withoutPassword(value: unknown): string {
  return String(value).replace(/(\/\/[^/@:]*:)[^/@]*@/g, '$1[secret]@')
}
