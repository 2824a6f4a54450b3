import type { EphemeralEvent, LogEntry } from '@tributary/eventlog'
import { audienceIncludes, EVENT_VERSION, includesAllUnderTopics } from '@tributary/protocol'
import { eventFrame, type Frame, type FrameForm } from '@tributary/sse'
import type { Connection } from './connection.ts'
import type { ConnectionIndex } from './connection-index.ts'

/** Hands events to the streams that they are for, and counts how many took them. */
export class FanOut {
  readonly #index: ConnectionIndex
  // Noted when the log tells of it, read by its publisher once the append is through.
  readonly #taken = new WeakMap<LogEntry | EphemeralEvent, number>()
  #dispatched = 0

  constructor(index: ConnectionIndex) {
    this.#index = index
  }

  /** Events that an outbox took, each once for each outbox. */
  get dispatched(): number {
    return this.#dispatched
  }

  resetCount(): void {
    this.#dispatched = 0
  }

  /** The outboxes that took it when it was offered. */
  takenOf(entry: LogEntry | EphemeralEvent): number {
    return this.#taken.get(entry) ?? 0
  }

  /** Offers an entry of the log to whoever is under one of its topics. Who still replays will read it there. */
  offer(entry: LogEntry): void {
    const { audience, event } = entry
    const forAll = audience !== undefined && includesAllUnderTopics(audience)
    let taken = 0
    // Who is under several of the topics is offered it several times, and takes it once: a reader knows its place.
    for (const topic of entry.topics) {
      for (const connection of this.#index.under(topic)) {
        const isFor = forAll ? connection.wants(event.type) : connection.accepts(entry)
        if (connection.stream?.offer(entry, isFor)) taken += 1
      }
    }
    this.#dispatched += taken
    this.#taken.set(entry, taken)
  }

  /** Offers an event that is in no log, to live streams only. */
  offerEphemeral(event: EphemeralEvent): void {
    const frames = new EphemeralFrames(event)
    let taken = 0
    for (const connection of this.#membersOf(event)) {
      const { stream, form } = connection
      // In the midst of a replay it would be out of order, and might find no room for no fault of the reader.
      if (stream === undefined || !stream.live || !connection.wants(event.type)) continue
      const frame = frames.frame(form)
      const isLow = event.priority === 'low'
      if (stream.stream.hasRoomFor(frame.byteLength, event.conflate) && !(isLow && stream.stream.paced)) {
        stream.send(frame, event.conflate)
        taken += 1
      } else if (isLow) stream.drop()
      else stream.end('slow_consumer')
    }
    this.#dispatched += taken
    this.#taken.set(event, taken)
  }

  #membersOf({ audience, topics }: EphemeralEvent): Set<Connection> {
    const members = new Set<Connection>()
    if (audience === undefined) return members
    for (const topic of topics) {
      for (const connection of this.#index.under(topic)) {
        if (audienceIncludes(audience, connection)) members.add(connection)
      }
    }
    return members
  }
}

/** The frames of one ephemeral event: each form is encoded at most once. */
class EphemeralFrames {
  readonly #event: EphemeralEvent
  readonly #byForm = new Map<string, Frame>()

  constructor(event: EphemeralEvent) {
    this.#event = event
  }

  frame(form: FrameForm): Frame {
    const key = `${form.format} ${form.naming}`
    let frame = this.#byForm.get(key)
    if (frame === undefined) {
      const { type, timestamp, priority, source, metadata, json } = this.#event
      const said = { id: null, type, timestamp, priority, source, version: EVENT_VERSION } as const
      frame = eventFrame(metadata === undefined ? said : { ...said, metadata }, json, form)
      this.#byForm.set(key, frame)
    }
    return frame
  }
}
