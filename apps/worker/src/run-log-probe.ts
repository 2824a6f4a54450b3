import type { EventLog, EventStore } from '@tributary/eventlog'
import type { Clock, ProbeResult } from '@tributary/protocol'
import { FlowProbe, PROBE_EVENT, PROBE_RETENTION, type SinkFactory, type StreamServer } from '@tributary/sse'

/** The log that it appends to. No run has it. */
const PROBE_LOG = 'probe'

export interface RunLogProbeOptions {
  readonly store: EventStore
  readonly streams: StreamServer
  readonly clock: Clock
}

/** Appends an event to a log of its own as runs do to theirs, and reads it as their readers do. */
export class RunLogProbe {
  readonly #options: RunLogProbeOptions
  readonly #flow: FlowProbe

  constructor(options: RunLogProbeOptions) {
    this.#options = options
    this.#flow = new FlowProbe({
      clock: options.clock,
      open: (sink) => this.#open(sink),
      send: (data) => this.#send(data),
    })
  }

  /** @throws ProblemError `store_unavailable`; `not_ready` where nothing came back in time. */
  run(): Promise<ProbeResult> {
    return this.#flow.run()
  }

  async #open(sink: SinkFactory): Promise<void> {
    const stream = await this.#options.streams.serve({
      log: await this.#log(),
      sink,
      connectionId: PROBE_LOG,
      startAt: 'head',
      timeoutMs: Number.POSITIVE_INFINITY,
      overflow: 'catch_up',
      follow: true,
      internal: true,
    })
    stream.start()
  }

  async #send(data: unknown): Promise<void> {
    const log = await this.#log()
    await log.append([{ event: { type: PROBE_EVENT, data, source: 'worker' } }])
  }

  // Not before it is asked for: a worker starts on a full disk too.
  #log(): Promise<EventLog> {
    return this.#options.store.open(PROBE_LOG, { retention: () => PROBE_RETENTION })
  }
}
