import { type Clock, type ProbeResult, ProblemError, SseDecoder } from '@tributary/protocol'
import type { SinkFactory } from './stream-sink.ts'
import { WebSink } from './web-sink.ts'

/** How long a probe may take, in ms. */
const DEFAULT_PROBE_BOUND_MS = 1_500
/** How long its answer stands, in ms. */
const DEFAULT_PROBE_REUSE_MS = 1_000

/** The event that is sent, and read again. */
export const PROBE_EVENT = 'probe'

/** How many events of a probe are kept, and how long: what matters is that they were stored. */
export const PROBE_RETENTION = { maxEvents: 1, maxAgeMs: 60_000 } as const

export interface FlowProbeOptions {
  readonly clock: Clock
  /** Opens and starts the probe's own reader. It ends with the sink. */
  readonly open: (sink: SinkFactory) => Promise<unknown>
  /** Appends an event with this data for that reader. */
  readonly send: (data: { readonly probe: string }) => Promise<unknown>
  /** Default `DEFAULT_PROBE_BOUND_MS`. */
  readonly boundMs?: number
  /** Default `DEFAULT_PROBE_REUSE_MS`. */
  readonly reuseMs?: number
}

interface Proof {
  readonly at: number
  readonly tookMs: number
}

/**
 * Proves that events flow: sends one, and waits until its own reader has it. Who asks meanwhile shares the probe, and
 * who asks just after one that came through is answered by that.
 */
export class FlowProbe {
  readonly #options: FlowProbeOptions
  #proving: Promise<Proof> | undefined
  #last: Proof | undefined

  constructor(options: FlowProbeOptions) {
    this.#options = options
  }

  /** @throws ProblemError `not_ready` where nothing came back in time; what sending the event failed with. */
  async run(): Promise<ProbeResult> {
    const { clock, reuseMs = DEFAULT_PROBE_REUSE_MS } = this.#options
    let proof = this.#last
    if (proof === undefined || Math.abs(clock.now() - proof.at) >= reuseMs) {
      this.#proving ??= this.#prove().finally(() => {
        this.#proving = undefined
      })
      proof = await this.#proving
    }
    return { ageMs: Math.max(0, clock.now() - proof.at), tookMs: proof.tookMs }
  }

  async #prove(): Promise<Proof> {
    const { clock, boundMs = DEFAULT_PROBE_BOUND_MS } = this.#options
    const beganMs = performance.now()
    const sink = new WebSink({})
    const late = Promise.withResolvers<never>()
    const cancel = clock.after(boundMs, () =>
      late.reject(notReady(`No event came through within ${boundMs} ms.`)),
    )
    try {
      await Promise.race([this.#send(sink), late.promise])
    } finally {
      cancel()
      sink.end()
    }
    this.#last = { at: clock.now(), tookMs: round(performance.now() - beganMs) }
    return this.#last
  }

  async #send(sink: WebSink): Promise<void> {
    const { open, send } = this.#options
    const probe = globalThis.crypto.randomUUID()
    await open(() => sink)
    await Promise.all([send({ probe }), arrival(sink.response, probe)])
  }
}

/** Resolves once an event with this text has been read. */
async function arrival({ body }: Response, text: string): Promise<void> {
  let arrived = false
  const decoder = new SseDecoder({
    onEvent: ({ data }) => {
      arrived ||= data.includes(text)
    },
  })
  for await (const chunk of body ?? []) {
    decoder.feed(chunk)
    if (arrived) return
  }
  throw notReady('The stream of the probe ended before its event came.')
}

function notReady(detail: string): ProblemError {
  return new ProblemError('not_ready', detail, { retryAfterS: 1 })
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100
}
