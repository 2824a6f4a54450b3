/**
 * The readers of a soak, a process of its own: thousands of streams over bare sockets that leave, come back and
 * pause, and a check of what each of them got.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { WireEvent } from '@tributary/protocol'
import { SoakCheck } from './soak-check.ts'
import type { PublishedEntry, SoakCommand, SoakPlan, SoakReaders, SoakVerdict } from './soak-message.ts'
import { LEAVES, SoakReader } from './soak-reader.ts'

/** Readers that are on their way to their first stream at a time. */
const OPENING = 200
const CHURN_INTERVAL_MS = 50
const LOOK_INTERVAL_MS = 20
/** One in so many stays away for as long as it may; the others come back within a tenth of that. */
const LONG_ABSENCES = 8

class Readers {
  readonly #plan: SoakPlan
  readonly #check: SoakCheck
  readonly #readers: readonly SoakReader[]
  readonly #left: Record<string, number> = {}
  readonly #ended: Record<string, number> = {}
  readonly #refused: Record<string, number> = {}
  readonly #hasOpened: boolean[] = []
  #firstOpened = 0
  #opened = 0
  #paused = 0
  #churn: NodeJS.Timeout | undefined

  constructor(plan: SoakPlan) {
    this.#plan = plan
    const groupOf = Array.from({ length: plan.streams }, (_, reader) => reader % plan.groups)
    this.#check = new SoakCheck(plan.groups, groupOf)
    this.#readers = groupOf.map((group, reader) => this.#reader(reader, group))
  }

  async open(): Promise<void> {
    for (let begun = 0; this.#firstOpened < this.#readers.length; await delay(LOOK_INTERVAL_MS)) {
      while (begun < this.#readers.length && begun - this.#firstOpened < OPENING) {
        this.#readers[begun]?.connect()
        begun += 1
      }
    }
  }

  /** Has readers leave and pause, evenly over time. */
  beginChurn(): void {
    const { leavesPerS, pausesPerS } = this.#plan
    const beganAt = performance.now()
    let leaves = 0
    let pauses = 0
    this.#churn = setInterval(() => {
      const seconds = (performance.now() - beganAt) / 1_000
      for (; leaves < Math.floor(seconds * leavesPerS); leaves++) this.#leave()
      for (; pauses < Math.floor(seconds * pausesPerS); pauses++) this.#pause()
    }, CHURN_INTERVAL_MS)
  }

  published(entries: readonly PublishedEntry[]): void {
    for (const [group, number, id] of entries) this.#check.published(group, number, id)
  }

  figures(): SoakReaders {
    return {
      reading: this.#readers.filter(({ isReading }) => isReading).length,
      received: this.#check.received,
      opened: this.#opened,
      paused: this.#paused,
      left: this.#left,
      ended: this.#ended,
      refused: this.#refused,
    }
  }

  async finish(limitMs: number): Promise<SoakVerdict> {
    clearInterval(this.#churn)
    const beganAt = performance.now()
    const isOver = () => performance.now() - beganAt > limitMs
    while (!isOver() && !this.#check.isCaughtUp) await delay(LOOK_INTERVAL_MS)
    // Who is away comes back once more, so that what it would get twice is seen, too.
    const away = new Set(this.#readers)
    while (!isOver() && away.size > 0) {
      for (const reader of away) if (reader.isReading) away.delete(reader)
      await delay(LOOK_INTERVAL_MS)
    }
    const caughtUpMs = performance.now() - beganAt
    this.#check.finish()
    const readers = this.figures()
    for (const reader of this.#readers) reader.stop()
    return { readers, faults: this.#check.faults, examples: this.#check.examples, caughtUpMs }
  }

  #reader(reader: number, group: number): SoakReader {
    return new SoakReader({
      port: this.#plan.port,
      path: `/api/sse/managed/connect/group/soak-${group}?sessionId=reader-${reader}`,
      awayMs: () => this.#absenceMs(),
      onEvent: (event) => this.#onEvent(reader, event),
      onOpen: () => {
        this.#opened += 1
        if (this.#hasOpened[reader]) return
        this.#hasOpened[reader] = true
        this.#firstOpened += 1
      },
      onRefused: (why) => count(this.#refused, why),
    })
  }

  #onEvent(reader: number, { id = '', type, data }: WireEvent): void {
    if (type === 'tick') {
      const { group, number }: { group?: unknown; number?: unknown } = JSON.parse(data)
      this.#check.got(reader, Number(group), Number(number), id)
    } else if (type === 'gap') this.#check.gap(reader, data)
    else if (type === 'disconnected') {
      const { reason }: { reason?: unknown } = JSON.parse(data)
      count(this.#ended, String(reason))
    }
  }

  #leave(): void {
    const how = LEAVES[Math.floor(Math.random() * LEAVES.length)] ?? 'reset'
    const reader = this.#anyReading()
    if (reader === undefined) return
    reader.leave(how)
    count(this.#left, how)
  }

  #pause(): void {
    const reader = this.#anyReading()
    if (reader === undefined) return
    reader.pause(Math.random() * this.#plan.maxAwayMs)
    this.#paused += 1
  }

  #anyReading(): SoakReader | undefined {
    const from = Math.floor(Math.random() * this.#readers.length)
    for (let step = 0; step < this.#readers.length; step++) {
      const reader = this.#readers[(from + step) % this.#readers.length]
      if (reader?.isReading) return reader
    }
    return undefined
  }

  #absenceMs(): number {
    const isLong = Math.random() < 1 / LONG_ABSENCES
    return Math.random() * this.#plan.maxAwayMs * (isLong ? 1 : 0.1)
  }
}

function count(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1
}

let readers: Readers | undefined

async function obey(command: SoakCommand): Promise<object | undefined> {
  if (command.kind === 'open') {
    readers = new Readers(command)
    await readers.open()
    return readers.figures()
  }
  if (readers === undefined) throw new Error(`${command.kind} came before there were readers`)
  if (command.kind === 'churn') readers.beginChurn()
  else if (command.kind === 'published') readers.published(command.entries)
  else if (command.kind === 'figures') return readers.figures()
  else return readers.finish(command.limitMs)
  return undefined
}

process.on('message', async (command: SoakCommand) => {
  const answer = await obey(command)
  if (answer !== undefined) process.send?.(answer)
})
// Ctrl-C reaches the whole group; the parent ends this process when it has read what it needs.
process.on('SIGINT', () => undefined)
process.once('disconnect', () => process.exit(0))
process.stdout.write(`${JSON.stringify({ url: 'ready' })}\n`)
