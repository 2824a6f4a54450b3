import { RedisReplyError } from '@tributary/redis'
import type { LogEntry } from '../../event-log.ts'
import type { FollowerHost } from './follower-host.ts'
import type { HandedOn } from './handed-on.ts'
import { parseLogMessage, type ToldEntry } from './log-message.ts'

/** Hands on what is told of a log, as far as nothing is missing before it. */
export class ToldMessages {
  readonly #host: FollowerHost
  readonly #handedOn: HandedOn

  constructor(host: FollowerHost, handedOn: HandedOn) {
    this.#host = host
    this.#handedOn = handedOn
  }

  /**
   * Takes a message. Answers `false`, and hands on nothing of it, where something came before that was not told, or where it
   * is none of ours: then the log says what is true.
   */
  take(text: string): boolean {
    const message = parseLogMessage(text)
    const { state } = this.#host
    if (message === undefined || message.life !== state.life) return false
    switch (message.kind) {
      case 'dropped':
        this.#host.onDropped()
        return true
      case 'hint':
        return message.n <= state.head.n
      case 'attributes':
        return this.#takeAttributes(message.version, message.json)
      case 'entries':
        return this.#takeEntries(message.origin, message.entries)
    }
  }

  #takeAttributes(version: number, json: string): boolean {
    const { state } = this.#host
    if (version <= state.attributesVersion) return true
    if (version > state.attributesVersion + 1) return false
    const change = parsedJson(json)
    if (!isAttributes(change)) return false
    state.setAttributes(version, change)
    return true
  }

  #takeEntries(origin: string, told: readonly ToldEntry[]): boolean {
    const { place } = this.#host.state
    const fresh = told.filter(({ position }) => position.n > place.head.n)
    const last = fresh.at(-1)
    if (last === undefined) return true
    const entries: LogEntry[] = []
    let beforeN = 0
    let beforeMs = place.head.ms
    for (const each of fresh) {
      const { n, ms } = each.position
      // Told by a server that was left: the times of a log never go back.
      if (ms < beforeMs) return false
      const entry = this.#entryOf(each, origin)
      if (entry === undefined || this.#handedOn.isBehindHole(entry, each, beforeN)) return false
      beforeN = n
      beforeMs = ms
      entries.push(entry)
    }
    // Others share a channel with those that are followed here.
    const followed = entries.filter((entry) => this.#handedOn.note(entry))
    this.#host.handOn(followed, {
      head: last.position,
      origin,
      closed: place.closed || last.isTerminal,
    })
    return true
  }

  /** `undefined` where what was told is none of ours. */
  #entryOf(told: ToldEntry, origin: string): LogEntry | undefined {
    try {
      return this.#host.entryOf(told, origin)
    } catch (error) {
      if (error instanceof RedisReplyError) return undefined
      throw error
    }
  }
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isAttributes(value: unknown): value is Record<string, string | null> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((text) => text === null || typeof text === 'string')
  )
}
