import type { LogEntry } from '@tributary/eventlog'
import {
  EVENT_VERSION,
  type Event,
  encodeFrame,
  type Naming,
  type StreamFormat,
  wireName,
} from '@tributary/protocol'
import { Frame } from './frame.ts'

/** How a stream writes events. */
export interface FrameForm {
  /** The payload alone, or the whole event. */
  readonly format: StreamFormat
  /** The names of a run's stream; `standard` everywhere else. */
  readonly naming: Naming
}

export const DEFAULT_FORM: FrameForm = { format: 'payload', naming: 'standard' }

/** The frame of an entry in a form: encoded at most once, the same bytes for every reader. */
export function entryFrame(entry: LogEntry, form: FrameForm): Frame {
  const slot = (form.format === 'envelope' ? 1 : 0) + (form.naming === 'emitter' ? 2 : 0)
  entry.frames ??= []
  const encoded = entry.frames[slot]
  if (encoded instanceof Frame) return encoded
  const frame = eventFrame(entry.event, entry.event.json, form)
  entry.frames[slot] = frame
  return frame
}

/** The same under another id: of one reader's own, encoded for it alone. */
export function entryFrameAs(id: string, { event }: LogEntry, form: FrameForm): Frame {
  const { type, timestamp, priority, source, metadata } = event
  const said = { type, timestamp, priority, source, version: EVENT_VERSION } as const
  const head = metadata === undefined ? { id, ...said } : { id, ...said, metadata }
  return eventFrame(head, event.json, form)
}

/** An event without its data: what an envelope has around it. An ephemeral one has no id. */
export type EventHead = Omit<Event, 'id' | 'data'> & { readonly id: string | null }

/**
 * The frame of an event, from the JSON of its data. An ephemeral one has no `id:`, so that no reader takes it
 * for its cursor.
 */
export function eventFrame(event: EventHead, json: string, { format, naming }: FrameForm): Frame {
  const type = wireName(event.type, naming)
  const fields = { event: type, data: format === 'envelope' ? envelopeJson(event, type, json) : json }
  return new Frame(encodeFrame(event.id === null ? fields : { id: event.id, ...fields }))
}

/**
 * A whole event as JSON, under this name, from the JSON of its data. That comes last: who passes the event on cuts it
 * out there. Put together by hand, as a relay needs one for each event.
 */
export function envelopeJson(
  { id, timestamp, priority, source, version, metadata }: EventHead,
  type: string,
  json: string,
): string {
  const names = `"id":${JSON.stringify(id)},"type":${JSON.stringify(type)}`
  const how = `"timestamp":${timestamp},"priority":"${priority}","source":${JSON.stringify(source)}`
  const more = metadata === undefined ? '' : `,"metadata":${JSON.stringify(metadata)}`
  return `{${names},${how},"version":"${version}"${more},"data":${json}}`
}
