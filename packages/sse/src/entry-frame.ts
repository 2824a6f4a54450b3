import type { LogEntry } from '@tributary/eventlog'
import { type Event, encodeFrame, type Naming, type StreamFormat, wireName } from '@tributary/protocol'

/** How a stream writes events. */
export interface FrameForm {
  /** The payload alone, or the whole event. */
  readonly format: StreamFormat
  /** The names of a run's stream; `standard` everywhere else. */
  readonly naming: Naming
}

export const DEFAULT_FORM: FrameForm = { format: 'payload', naming: 'standard' }

const encoder = new TextEncoder()

/** Text as the bytes of a stream. */
export function toBytes(frame: string): Uint8Array {
  return encoder.encode(frame)
}

// Each form of an entry's frame is encoded at most once, whoever reads it, and goes with the entry.
const framesOf = new WeakMap<LogEntry, Map<string, Uint8Array>>()

/** The frame of an entry in a form. The same bytes for every reader. */
export function entryFrame(entry: LogEntry, { format, naming }: FrameForm): Uint8Array {
  const key = `${format} ${naming}`
  let frames = framesOf.get(entry)
  if (frames === undefined) {
    frames = new Map()
    framesOf.set(entry, frames)
  }
  let frame = frames.get(key)
  if (frame === undefined) {
    frame = eventFrame(entry.event, { format, naming })
    frames.set(key, frame)
  }
  return frame
}

/** The frame of an event; an ephemeral one has no id, so that no reader takes it for its cursor. */
export function eventFrame(event: Omit<Event, 'id'> & { id: string | null }, form: FrameForm): Uint8Array {
  const type = wireName(event.type, form.naming)
  const data = JSON.stringify(form.format === 'envelope' ? { ...event, type } : event.data)
  return toBytes(
    encodeFrame({ ...(event.id === null ? {} : { id: event.id }), event: type, data: data ?? 'null' }),
  )
}
