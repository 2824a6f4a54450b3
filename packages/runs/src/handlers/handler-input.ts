import type { TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import type { TaskDefinition } from './define-task.ts'
import { HandlerInputError, type InputFault } from './handler-error.ts'

/** The most faults of one input that its error names. */
const MAX_FAULTS = 8

/** Checks inputs against the schemas of their tasks, each compiled once. */
export class HandlerInput {
  readonly #validators = new WeakMap<TSchema, Validator>()

  /**
   * The input that the task is to get: a missing one is `{}` where the schema takes that and not `undefined`.
   *
   * @throws HandlerInputError naming each field that is wrong.
   */
  check({ name, input: schema }: TaskDefinition, input: unknown): unknown {
    if (schema === undefined) return input
    const validator = this.#validator(schema)
    if (validator.Check(input)) return input
    const given = input === undefined ? {} : input
    if (input === undefined && validator.Check(given)) return given
    throw new HandlerInputError(name, faults(validator, given))
  }

  #validator(schema: TSchema): Validator {
    const known = this.#validators.get(schema)
    if (known !== undefined) return known
    const validator = Compile(schema)
    this.#validators.set(schema, validator)
    return validator
  }
}

function faults(validator: Validator, input: unknown): InputFault[] {
  const faults: InputFault[] = []
  for (const error of validator.Errors(input)) {
    const path = `input${error.instancePath}`
    // These name a property that the path does not reach.
    if (error.keyword === 'required') {
      for (const property of error.params.requiredProperties) {
        faults.push({ path: `${path}/${property}`, message: 'is missing' })
      }
    } else if (error.keyword === 'additionalProperties') {
      for (const property of error.params.additionalProperties) {
        faults.push({ path: `${path}/${property}`, message: 'is not known here' })
      }
    } else if (error.keyword !== 'boolean') faults.push({ path, message: error.message })
    // `boolean` is the refusal of an additional property told once more, in the validator's own terms.
  }
  return faults.length === 0 ? [{ path: 'input', message: 'is not allowed' }] : faults.slice(0, MAX_FAULTS)
}
