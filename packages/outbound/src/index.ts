export { AddressEntryError } from './address-entry.ts'
export { AddressPolicy, type AddressPolicyOptions } from './address-policy.ts'
export { type ClassifiedError, classifyError } from './classify-error.ts'
export { type GuardedConnectorOptions, guardedConnector } from './guarded-connector.ts'
export { HostList } from './host-list.ts'
export { nameServerLookup } from './name-server-lookup.ts'
export {
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_CONNECTIONS_PER_ORIGIN,
  DEFAULT_MAX_REDIRECTS,
  DEFAULT_READ_TIMEOUT_MS,
  OutboundClient,
  type OutboundClientOptions,
  type OutboundFetchInit,
  TRIBUTARY_VIA,
} from './outbound-client.ts'
export { AddressRefusedError, OutboundError } from './outbound-error.ts'
export {
  flattenHeaders,
  MAX_WHOLE_BODY_BYTES,
  requestWhole,
  type WholeAnswer,
  type WholeRequest,
} from './request-whole.ts'
export {
  DEFAULT_RETRY_BASE_MS,
  DEFAULT_RETRY_MAX_MS,
  isRetryableStatus,
  type RetryDelayOptions,
  retryAfterMs,
  retryDelayMs,
} from './retry.ts'
