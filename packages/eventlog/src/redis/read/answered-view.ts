import type { Position } from '@tributary/protocol'
import type { LogView, TopicView } from '../../cursor-location.ts'
import type { AnswerReader } from '../script-answer.ts'

/** What of a topic a script answered: as much as a cursor is judged by. */
interface TopicFacts {
  readonly first: Position | undefined
  readonly trimmedUpTo: Position | undefined
  readonly upToAsked: Position | undefined
  readonly afterAsked: Position | undefined
  readonly untilTime: Position | undefined
}

/** What the script `locate` answered, as what a cursor is judged by. */
export function answeredView(answer: AnswerReader, runId: string | undefined): LogView & { closed: boolean } {
  const head = answer.position()
  const zero = { ms: answer.number(), n: 0 }
  const closed = answer.flag()
  const lost = answer.place()
  const before = answer.place()
  const next = answer.place()
  const askedN = answer.number()
  const topics: TopicView[] = []
  while (!answer.isAtEnd) {
    const [first, trimmedUpTo, upToAsked, afterAsked, untilTime] = [
      answer.place(),
      answer.place(),
      answer.place(),
      answer.place(),
      answer.place(),
    ]
    topics.push(topicView({ first, trimmedUpTo, upToAsked, afterAsked, untilTime }, askedN))
  }
  /** As a trail of positions judges it, by its neighbours there. */
  const fits = ({ ms, n }: Position) => {
    if (next !== undefined && next.ms < ms) return false
    if (before === undefined) return true
    return before.n === n ? before.ms === ms : before.ms <= ms
  }
  return { runId, zero, head, lost, topics, fits, closed }
}

function topicView(facts: TopicFacts, askedN: number): TopicView {
  const { first, trimmedUpTo, upToAsked, afterAsked, untilTime } = facts
  return {
    first,
    trimmedUpTo,
    // Asked about the number of the cursor, and about the beginning.
    after: (n) => (n === askedN ? afterAsked : first !== undefined && first.n > n ? first : afterAsked),
    upTo: () => upToAsked,
    until: () => untilTime,
  }
}
