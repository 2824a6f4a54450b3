import type { HubOptions } from '@tributary/hub'
import type { GatewayConfig } from './config.ts'

/** What the classes of topics have of their own. */
export function hubHistoryOf(config: GatewayConfig): NonNullable<HubOptions['history']> {
  const kept = (maxEvents: number | undefined, maxAgeMs?: number) => ({
    ...(maxEvents === undefined ? {} : { maxEvents }),
    ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
  })
  return {
    users: kept(config.HISTORY_USER_MAX_EVENTS),
    groups: kept(config.HISTORY_GROUP_MAX_EVENTS, config.HISTORY_GROUP_MAX_AGE_MS),
    roles: kept(config.HISTORY_ROLE_MAX_EVENTS, config.HISTORY_ROLE_MAX_AGE_MS),
    sessions: kept(config.HISTORY_SESSION_MAX_EVENTS, config.HISTORY_SESSION_MAX_AGE_MS),
    all: kept(config.HISTORY_ALL_MAX_EVENTS, config.HISTORY_ALL_MAX_AGE_MS),
  }
}

/** How long events of a session can be read. */
export function sessionHistoryMs(config: GatewayConfig): number {
  return config.HISTORY_SESSION_MAX_AGE_MS ?? config.HISTORY_MAX_AGE_MS
}
