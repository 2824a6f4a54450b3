/** One event as it stands in a stream's text: its lines. */
export type Frame = readonly string[]

/** The events of a stream's text, without what differs from one run to the next. */
export function frames(text: string): Frame[] {
  return text
    .split(/\n{2,}/)
    .map((block) =>
      block
        .split('\n')
        .filter((line) => line !== '')
        .map(lasting),
    )
    .filter(({ length }) => length > 0)
}

/**
 * What `real` has for each frame of `shown`, in the same order; a frame shown in part is compared in that part.
 *
 * Equal to `shown` where all are there. Else it has in place of a frame the next one of its type, or an empty one.
 */
export function excerpt(real: readonly Frame[], shown: readonly Frame[]): Frame[] {
  let from = 0
  return shown.map((wanted) => {
    const rest = real.slice(from)
    const same = rest.findIndex((frame) => wanted.every((line) => frame.includes(line)))
    const next = same >= 0 ? same : rest.findIndex((frame) => typeOf(frame) === typeOf(wanted))
    from += next + 1
    return same >= 0 ? wanted : (rest[next] ?? [])
  })
}

/** A JSON text's value, without what differs from one run to the next. */
export function lastingJson(text: string): unknown {
  return JSON.parse(text, (key, value: unknown) => {
    if (typeof value === 'number' && key.endsWith('Ms')) return 'ms'
    return typeof value === 'string' ? lastingText(value) : value
  })
}

function lasting(line: string): string {
  const data = line.startsWith('data: {') ? line.slice('data: '.length) : undefined
  return data === undefined ? lastingText(line) : `data: ${JSON.stringify(lastingJson(data))}`
}

function lastingText(text: string): string {
  return text
    .replace(/\brun_[0-9a-f]{32}\b/g, 'run')
    .replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'uuid')
    .replace(/\b\d{13}-\d+\b/g, 'event-id')
}

function typeOf(frame: Frame): string | undefined {
  return frame.find((line) => line.startsWith('event: '))
}
