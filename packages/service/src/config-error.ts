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
