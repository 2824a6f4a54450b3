import { AddressPolicy, nameServerLookup, OutboundClient, TRIBUTARY_VIA } from '@tributary/outbound'
import type { Clock } from '@tributary/protocol'
import { fromVariable } from '@tributary/service'
import type { GatewayConfig } from './config.ts'

/**
 * A client for each kind of address: what one may reach is no way round for the others. Workers that announce
 * themselves are opened in `workerPolicy` by whoever learns of them.
 */
export async function createOutboundClients(config: GatewayConfig, clock: Clock) {
  const { OUTBOUND_ALLOW, OUTBOUND_DENY: deny, RELAY_ALLOWED_ORIGINS, WORKER_URLS, WEBHOOK_URL } = config
  const { OUTBOUND_DNS_SERVERS: servers } = config
  const lookup = await fromVariable('OUTBOUND_DNS_SERVERS', () =>
    servers.length === 0 ? undefined : nameServerLookup(servers),
  )
  // Workers are named by whoever runs us, as the system knows them; others by whoever asks.
  const named = {
    sensitiveHeaders: config.SENSITIVE_HEADERS,
    via: TRIBUTARY_VIA,
    ...(lookup === undefined ? {} : { lookup }),
  }
  const limits = {
    connectTimeoutMs: config.UPSTREAM_CONNECT_TIMEOUT_MS,
    readTimeoutMs: config.UPSTREAM_READ_TIMEOUT_MS,
    clock,
  }
  // Each stream is a connection, and a redirect would lead away from who was named.
  const streaming = { ...limits, connectionsPerOrigin: 0, maxRedirects: 0 }
  const workerPolicy = new AddressPolicy({ allow: WORKER_URLS.map(hostOf) })
  const [relayed, called, told] = await fromVariable('OUTBOUND_ALLOW or OUTBOUND_DENY', () => [
    new AddressPolicy({ allow: [...OUTBOUND_ALLOW, ...RELAY_ALLOWED_ORIGINS.map(hostOf)], deny }),
    new AddressPolicy({ allow: OUTBOUND_ALLOW, deny }),
    new AddressPolicy({ allow: WEBHOOK_URL === undefined ? [] : [hostOf(WEBHOOK_URL)], deny }),
  ])
  const clients = {
    workers: new OutboundClient({ policy: workerPolicy, ...streaming }),
    relays: new OutboundClient({ policy: relayed, ...streaming, ...named }),
    handlers: new OutboundClient({ policy: called, ...limits, ...named }),
    webhooks: new OutboundClient({ policy: told, ...limits, ...named, maxRedirects: 0 }),
  }
  return { clients, workerPolicy }
}

/** `host:port` of an address, with the port that its scheme implies. */
export function hostOf(address: string): string {
  const { hostname, port, protocol } = new URL(address)
  return `${hostname}:${port || (protocol === 'https:' ? '443' : '80')}`
}
