import type { HttpTask, TaskHeader, TaskSpec } from '@tributary/protocol'

const WITHHELD = { $withheld: true } as const

/**
 * Tasks as they may be stored: without the literal values of sensitive headers. What stands there instead is seen
 * when the run is gone on with: such a task cannot be.
 *
 * @param sensitive names in lower case.
 */
export function withholdCredentials(specs: readonly TaskSpec[], sensitive: ReadonlySet<string>): TaskSpec[] {
  return specs.map((spec) => {
    if (typeof spec === 'string' || !('url' in spec) || spec.headers === undefined) return spec
    return { ...spec, headers: withheldHeaders(spec.headers, sensitive) }
  })
}

/** Whether tasks have literal values of sensitive headers: then only who was asked can run them. */
export function holdCredentials(specs: readonly TaskSpec[], sensitive: ReadonlySet<string>): boolean {
  return specs.some((spec) => {
    if (typeof spec === 'string' || !('url' in spec) || spec.headers === undefined) return false
    return Object.entries(spec.headers).some(
      ([name, value]) => typeof value === 'string' && sensitive.has(name.toLowerCase()),
    )
  })
}

function withheldHeaders(
  headers: NonNullable<HttpTask['headers']>,
  sensitive: ReadonlySet<string>,
): Record<string, TaskHeader> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      typeof value === 'string' && sensitive.has(name.toLowerCase()) ? WITHHELD : value,
    ]),
  )
}
