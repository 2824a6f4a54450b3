import type { EventLog, Following } from '@tributary/eventlog'
import { type Clock, type ProbeResult, sessionTopic } from '@tributary/protocol'
import { FlowProbe, type LogStream, PROBE_EVENT, type SinkFactory, type StreamServer } from '@tributary/sse'
import { Connection } from './connection.ts'
import type { ConnectionIndex } from './connection-index.ts'
import { NO_TIMES } from './connection-state.ts'
import type { FanOut } from './fan-out.ts'

/** The reader of the probe. A control character is in no name, so nobody else is called so. */
const PROBE_ID = '\u0001probe'
/** Whom the probe's events are for. */
export const PROBE_TOPIC = sessionTopic(PROBE_ID)

export interface HubProbeOptions {
  readonly log: EventLog
  readonly streams: StreamServer
  readonly index: ConnectionIndex
  readonly fanOut: FanOut
  readonly clock: Clock
  readonly source: string
}

/** Sends an event through the hub's log and its fan-out to a reader of its own, which is no connection of anybody. */
export class HubProbe {
  readonly #options: HubProbeOptions
  readonly #flow: FlowProbe
  #delivered = 0

  constructor(options: HubProbeOptions) {
    this.#options = options
    this.#flow = new FlowProbe({
      clock: options.clock,
      open: (sink) => this.#open(sink),
      send: (data) => this.#send(data),
    })
  }

  /** What of the fan-out's deliveries were the probe's. */
  get delivered(): number {
    return this.#delivered
  }

  /** @throws ProblemError as `Hub.probe`. */
  run(): Promise<ProbeResult> {
    return this.#flow.run()
  }

  resetCount(): void {
    this.#delivered = 0
  }

  async #open(sink: SinkFactory): Promise<void> {
    const { log, index } = this.#options
    const connection = new Connection(PROBE_ID, { sessionId: PROBE_ID }, NO_TIMES)
    const following = log.follow([PROBE_TOPIC])
    const stream = await this.#serve(sink, connection, following).catch((error: unknown) => {
      following.end()
      throw error
    })
    connection.attach(stream)
    index.addUnder(PROBE_TOPIC, connection)
    stream.onEnd(() => {
      index.removeUnder(PROBE_TOPIC, connection)
      following.end()
    })
    stream.start()
  }

  async #serve(sink: SinkFactory, connection: Connection, { ready }: Following): Promise<LogStream> {
    const { log, streams } = this.#options
    if (ready !== undefined) await ready
    return streams.serve({
      log,
      sink,
      connectionId: PROBE_ID,
      startAt: 'head',
      timeoutMs: Number.POSITIVE_INFINITY,
      overflow: 'disconnect',
      follow: false,
      internal: true,
      topics: () => [PROBE_TOPIC],
      accepts: (entry) => connection.accepts(entry),
    })
  }

  async #send(data: unknown): Promise<void> {
    const { log, fanOut, source } = this.#options
    const event = { type: PROBE_EVENT, data, source }
    const [entry] = await log.append([{ event, audience: { sessions: [PROBE_ID] } }])
    if (entry !== undefined) this.#delivered += fanOut.takenOf(entry)
  }
}
