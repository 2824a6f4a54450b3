/**
 * Opens many streams at once over bare sockets, and says when each had all of the events that it missed. A process
 * of its own; it parses no more than it must to count events and to see that their ids rise.
 */
import { connect, type Socket } from 'node:net'

/** What to do, as the parent sends it. */
export interface Storm {
  readonly port: number
  /** Of the request; `%d` is the number of the stream. */
  readonly path: string
  readonly streams: number
  /** Events that each is to get. */
  readonly events: number
}

/** What came of it. */
export interface StormResult {
  /** When each stream had its last event, in ms since the first was opened. */
  readonly caughtUpMs: readonly number[]
  readonly events: number
  /** Streams whose ids did not rise one by one. */
  readonly disordered: number
  readonly failed: number
}

const ID = '\nid: '

process.once('message', (storm: Storm) => {
  run(storm).then((result) => process.send?.(result, () => process.exit(0)))
})
process.stdout.write(`${JSON.stringify({ url: 'ready' })}\n`)

async function run({ port, path, streams, events }: Storm): Promise<StormResult> {
  const startedAt = performance.now()
  const caughtUpMs: number[] = []
  const sockets: Socket[] = []
  let counted = 0
  let disordered = 0
  let failed = 0
  await new Promise<void>((resolve) => {
    const settled = () => {
      if (caughtUpMs.length + failed === streams) resolve()
    }
    for (let stream = 0; stream < streams; stream++) {
      const socket = connect({ port, host: '127.0.0.1' })
      sockets.push(socket)
      const request = `GET ${path.replace('%d', String(stream))} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`
      socket.write(request)
      const reader = new IdReader()
      let done = false
      const fail = () => {
        if (done) return
        done = true
        failed += 1
        settled()
      }
      socket.on('data', (chunk) => {
        reader.feed(chunk.toString('latin1'))
        if (done || reader.events < events) return
        done = true
        counted += reader.events
        if (reader.disordered) disordered += 1
        caughtUpMs.push(performance.now() - startedAt)
        settled()
      })
      socket.on('error', fail)
      socket.on('close', fail)
    }
  })
  for (const socket of sockets) socket.destroy()
  return { caughtUpMs, events: counted, disordered, failed }
}

/** Counts the ids of events in a stream; the first is that of `connection`, which is the reader's own cursor. */
class IdReader {
  events = -1
  disordered = false
  #rest = ''
  #last = -1

  feed(text: string): void {
    const all = this.#rest + text
    let from = 0
    for (;;) {
      const at = all.indexOf(ID, from)
      const end = at < 0 ? -1 : all.indexOf('\n', at + ID.length)
      if (end < 0) break
      const n = Number(all.slice(all.indexOf('-', at) + 1, end))
      if (this.#last >= 0 && n !== this.#last + 1) this.disordered = true
      this.#last = n
      this.events += 1
      from = end
    }
    const open = all.lastIndexOf('\n')
    this.#rest = all.slice(Math.max(from, open, 0))
  }
}
