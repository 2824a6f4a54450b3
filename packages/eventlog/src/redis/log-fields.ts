import type { Position } from '@tributary/protocol'
import type { LogSummary } from '../event-log.ts'
import { AnswerReader, type ScriptAnswer } from './script-answer.ts'

const ATTRIBUTE = 'a:'

/** What the hash of a log says, as `LogKeys` names its fields. */
export interface LogFields {
  /** Another for each log, also for one that is made anew under the same name. */
  readonly life: string
  readonly runId: string | undefined
  /** The place before the first. */
  readonly zero: Position
  readonly head: Position
  readonly closed: boolean
  readonly attributes: Map<string, string>
  readonly attributesVersion: number
}

/** `undefined` where there is no log. @throws RedisReplyError where it is none of ours. */
export function logFields(answer: ScriptAnswer): LogFields | undefined {
  if (answer.length === 0) return undefined
  const fields = new Map<string, string>()
  const attributes = new Map<string, string>()
  const reader = new AnswerReader(answer)
  while (!reader.isAtEnd) {
    const name = reader.text()
    const value = reader.text()
    if (name.startsWith(ATTRIBUTE)) attributes.set(name.slice(ATTRIBUTE.length), value)
    else fields.set(name, value)
  }
  const number = (name: string) => new AnswerReader([fields.get(name) ?? '']).number()
  return {
    life: fields.get('life') ?? '',
    runId: fields.get('r'),
    zero: { ms: number('o'), n: 0 },
    head: { ms: number('ms'), n: number('n') },
    closed: fields.get('c') === '1',
    attributes,
    attributesVersion: number('v'),
  }
}

export function summaryOf(name: string, { head, closed, attributes }: LogFields): LogSummary {
  return { name, head, closed, attributes }
}
