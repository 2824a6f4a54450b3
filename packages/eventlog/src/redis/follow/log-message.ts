import type { Position } from '@tributary/protocol'

/** An entry as it is told. */
export interface ToldEntry {
  readonly position: Position
  readonly isTerminal: boolean
  /** Which of its batch it is. */
  readonly index: number
  /** Of each of its topics, the number of the entry before. */
  readonly previous: readonly number[]
  readonly head: string
  readonly json: string
}

/** What is told of a log on its channels. */
export type LogMessage =
  | {
      readonly kind: 'entries'
      readonly life: string
      readonly origin: string
      readonly entries: readonly ToldEntry[]
    }
  /** There is something under many topics. */
  | { readonly kind: 'hint'; readonly life: string; readonly n: number }
  | { readonly kind: 'attributes'; readonly life: string; readonly version: number; readonly json: string }
  | { readonly kind: 'dropped'; readonly life: string }

/** An ephemeral event as it is told. */
export interface EphemeralMessage {
  /** Who told it, and as which of its own. */
  readonly node: string
  readonly k: number
  readonly timestamp: number
  readonly head: string
  readonly json: string
}

const ENTRIES = /^E (\S+) (\S+) (\d{1,9})$/
const ENTRY = /^(\d{1,16}) (\d{1,16}) ([01]) (\d{1,9}) (\d{1,9}) (\d{1,9}) ([\d,]+)$/
const HINT = /^H (\S+) (\d{1,16}) \d{1,16}$/
const ATTRIBUTES = /^A (\S+) (\d{1,16})$/
const DROPPED = /^D (\S+)$/
const EPHEMERAL = /^P (\S+) (\d{1,16}) (\d{1,16}) (\d{1,9})$/

/** Takes a message apart; `undefined` where it is none of ours. */
export function parseLogMessage(text: string): LogMessage | undefined {
  const { line, next } = lineAt(text, 0)
  const entries = ENTRIES.exec(line)
  if (entries !== null) {
    const [, life = '', origin = '', count] = entries
    const told = toldEntries(text, next, Number(count))
    return told === undefined ? undefined : { kind: 'entries', life, origin, entries: told }
  }
  const hint = HINT.exec(line)
  if (hint !== null) return { kind: 'hint', life: hint[1] ?? '', n: Number(hint[2]) }
  const attributes = ATTRIBUTES.exec(line)
  if (attributes !== null) {
    const [, life = '', version] = attributes
    return { kind: 'attributes', life, version: Number(version), json: text.slice(next) }
  }
  const dropped = DROPPED.exec(line)
  return dropped === null ? undefined : { kind: 'dropped', life: dropped[1] ?? '' }
}

/** What is told of an event that is in no log: a line, then its head and its data without a separator. */
export function formatEphemeral({ node, k, timestamp, head, json }: EphemeralMessage): string {
  return `P ${node} ${k} ${timestamp} ${head.length}\n${head}${json}`
}

/** Whether a message is of an event that is in no log. */
export function isEphemeral(text: string): boolean {
  return text.startsWith('P ')
}

/** Takes such a message apart; `undefined` where it is none of ours. */
export function parseEphemeral(text: string): EphemeralMessage | undefined {
  const { line, next } = lineAt(text, 0)
  const match = EPHEMERAL.exec(line)
  if (match === null) return undefined
  const [, node = '', k, timestamp, headLength] = match
  const headEnd = next + Number(headLength)
  return {
    node,
    k: Number(k),
    timestamp: Number(timestamp),
    head: text.slice(next, headEnd),
    json: text.slice(headEnd),
  }
}

function toldEntries(text: string, start: number, count: number): ToldEntry[] | undefined {
  const matches: RegExpExecArray[] = []
  let at = start
  for (let i = 0; i < count; i++) {
    const { line, next } = lineAt(text, at)
    const match = ENTRY.exec(line)
    if (match === null) return undefined
    matches.push(match)
    at = next
  }
  const told = matches.map(([, n, ms, terminal, index, headLength, dataLength, previous = '']) => {
    const headEnd = at + Number(headLength)
    const dataEnd = headEnd + Number(dataLength)
    const entry = {
      position: { ms: Number(ms), n: Number(n) },
      isTerminal: terminal === '1',
      index: Number(index),
      previous: previous.split(',').map(Number),
      head: text.slice(at, headEnd),
      json: text.slice(headEnd, dataEnd),
    }
    at = dataEnd
    return entry
  })
  return at === text.length ? told : undefined
}

function lineAt(text: string, start: number): { line: string; next: number } {
  const end = text.indexOf('\n', start)
  return end === -1
    ? { line: text.slice(start), next: text.length }
    : { line: text.slice(start, end), next: end + 1 }
}
