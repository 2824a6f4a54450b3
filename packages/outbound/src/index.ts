export { AddressEntryError } from './address-entry.ts'
export { AddressPolicy, type AddressPolicyOptions } from './address-policy.ts'
export { type ClassifiedError, classifyError } from './classify-error.ts'
export { type GuardedConnectorOptions, guardedConnector } from './guarded-connector.ts'
export {
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_CONNECTIONS_PER_ORIGIN,
  DEFAULT_MAX_REDIRECTS,
  DEFAULT_READ_TIMEOUT_MS,
  type OutboundAnswer,
  OutboundClient,
  type OutboundClientOptions,
  type OutboundFetchInit,
  type OutboundRequest,
} from './outbound-client.ts'
export { AddressRefusedError, OutboundError } from './outbound-error.ts'
export { type ReadBody, type ReadBodyOptions, readBody } from './read-body.ts'
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
