import type { GatewayBackends, GatewayBackendsOptions } from './backends.ts'

/** What all else of a gateway stands on. */
export interface GatewayBase extends Omit<GatewayBackendsOptions, 'onWaiting'> {
  readonly backends: GatewayBackends
}
