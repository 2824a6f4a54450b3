import { LocalCluster } from '@tributary/cluster'
import type { EventLog } from '@tributary/eventlog'
import { type Clock, systemClock } from '@tributary/protocol'
import { StreamServer } from '@tributary/sse'
import { DeliveryTimer } from './delivery-timer.ts'
import { FanOut } from './fan-out.ts'
import { NO_HUB_METER } from './hub-meter.ts'
import { DEFAULT_MAX_EVENT_BYTES, DEFAULT_SOURCE, type HubOptions } from './hub-options.ts'
import { HubPolls } from './hub-polls.ts'
import { HubProbe } from './hub-probe.ts'
import { HubRoster } from './hub-roster.ts'
import { createMembership, type Membership } from './membership.ts'
import { Publisher } from './publisher.ts'
import type { ConnectionRegistry } from './registry/connection-registry.ts'
import { DEFAULT_IDEMPOTENCY_WINDOW_MS } from './send-once.ts'

/** What a hub consists of. */
export interface HubParts extends Membership {
  readonly clock: Clock
  readonly fanOut: FanOut
  readonly polls: HubPolls
  readonly publisher: Publisher
  readonly probe: HubProbe
  readonly roster: HubRoster
}

/** Makes what a hub consists of, and has it hear of its log. */
export function createHubParts(
  hub: HubOptions,
  { log, registry }: { readonly log: EventLog; readonly registry: ConnectionRegistry },
): HubParts {
  const { clock = systemClock, streams = new StreamServer({ clock }), source = DEFAULT_SOURCE } = hub
  const { cluster = new LocalCluster({ service: 'gateway', clock }), meter = NO_HUB_METER } = hub
  const members = createMembership({ hub, log, registry, cluster, clock, streams })
  const { connections, local, nodes, watchMs } = members
  const { index } = connections
  const fanOut = new FanOut(index)
  const polls = new HubPolls({
    log,
    streams,
    maxWaiting: hub.maxWaitingPolls,
    watch: (groups) => registry.watch(groups, watchMs),
  })
  const publisher = new Publisher({
    log,
    fanOut,
    timer: new DeliveryTimer(streams, meter),
    clock,
    source,
    maxEventBytes: hub.maxEventBytes ?? DEFAULT_MAX_EVENT_BYTES,
    idempotencyWindowMs: hub.idempotencyWindowMs ?? DEFAULT_IDEMPOTENCY_WINDOW_MS,
  })
  const ends: (() => void)[] = [
    log.tail((entry) => {
      fanOut.offer(entry)
      polls.tell(entry)
    }),
    log.onTold((event) => fanOut.offerEphemeral(event)),
    log.onRewind(() => connections.rewind()),
    () => members.end(),
  ]
  return {
    ...members,
    clock,
    fanOut,
    polls,
    publisher,
    probe: new HubProbe({ log, streams, index, fanOut, clock, source }),
    roster: new HubRoster({ registry, log, local, nodes, watchMs }),
    end(): void {
      for (const end of ends.splice(0)) end()
    },
  }
}
