import type { ComponentHealth } from '@tributary/protocol'

/** How those are that count limits, taken together: the first that is not well speaks for all. */
export function limitsHealth(parts: readonly { readonly health: ComponentHealth }[]): ComponentHealth {
  return parts.map(({ health }) => health).find(({ status }) => status !== 'ok') ?? { status: 'ok' }
}
