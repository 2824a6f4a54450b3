/** A line of a service's log, as pino writes it. */
export interface LogRecord {
  level: number
  time: number
  msg: string
  fields: Record<string, unknown>
}

export const LEVELS: Record<string, number> = {
  trace: 10,
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  fatal: 60,
  silent: Number.POSITIVE_INFINITY,
}
/** What every record carries, and a reader of one terminal has no use for. */
const NOISE = new Set(['pid', 'hostname', 'name', 'service'])

/** Reads one line; undefined when it is not a log record. */
export function parseLogLine(line: string): LogRecord | undefined {
  if (!line.startsWith('{')) return undefined
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { level, time, msg, ...fields } = value as Record<string, unknown>
  if (typeof level !== 'number') return undefined
  return {
    level,
    time: typeof time === 'number' ? time : Date.now(),
    msg: typeof msg === 'string' ? msg : '',
    fields,
  }
}

/** Writes a record on one line: `12:04:09 worker WARN message key=value`. */
export function formatLogLine(service: string, { level, time, msg, fields }: LogRecord): string {
  const name = Object.keys(LEVELS).find((key) => LEVELS[key] === level) ?? String(level)
  const rest = Object.entries(fields)
    .filter(([key]) => !NOISE.has(key))
    .map(([key, value]) => `${key}=${formatValue(value)}`)
  return [new Date(time).toTimeString().slice(0, 8), service, name.toUpperCase(), msg, ...rest].join(' ')
}

function formatValue(value: unknown): string {
  const { type, message } = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >
  return typeof message === 'string' ? JSON.stringify(`${type}: ${message}`) : JSON.stringify(value)
}
