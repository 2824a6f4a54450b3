/** What is wrong with a configuration, in one line; `faults` has them one by one. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'invalid_config'
  readonly retryable = false
  readonly faults: readonly string[]

  constructor(faults: readonly string[], options?: ErrorOptions) {
    super(faults.join('; '), options)
    this.faults = faults
  }
}

/**
 * Makes what a variable asks for.
 *
 * @throws ConfigError that names the variable, in place of whatever was thrown.
 */
export async function fromVariable<T>(name: string, make: () => T | Promise<T>): Promise<T> {
  try {
    return await make()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new ConfigError([`${name}: ${message}`], { cause: error })
  }
}
