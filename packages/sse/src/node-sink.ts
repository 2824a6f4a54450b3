import type { ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { Batch } from './batch.ts'
import type { Frame } from './frame.ts'
import { RawSocket, unsentHead, type WriteOutcome } from './raw-socket.ts'
import type { SinkOwner, StreamSink } from './stream-sink.ts'
import { WriteTurn } from './write-turn.ts'

/** How long a peer may take to read the end of its stream before the socket is cut. */
const END_GRACE_MS = 5_000

/** Headers as frameworks collect them. */
export type AnswerHeaders = Readonly<Record<string, string | number | string[] | undefined>>

/**
 * A sink over Node's own HTTP answer. Its head goes out at the end of the turn in which it is made, together with what
 * is written until then, and at once where nothing is: so a reader knows that it is connected.
 *
 * From then on what comes alone is written at once; what follows within the same turn of the event loop is gathered and
 * written together at the end of it, so that a turn costs one write or two, however much happens in it.
 */
export class NodeSink implements StreamSink {
  readonly #turn: WriteTurn
  // Until the socket is taken over from it.
  #response: ServerResponse | undefined
  #raw: RawSocket | undefined
  #owner: SinkOwner | undefined
  #cutTimer: NodeJS.Timeout | undefined
  #batch: Batch | undefined
  // Writes that the kernel is not known to have taken.
  #queued = 0
  // Since which turn there are such.
  #queuedTurn = -1
  #turnNumber = -1
  // Whether the last turn had more than one write: then this one is expected to, and gathers from the first. So does
  // the turn of its opening.
  #bursting = true
  // Whether the head is on its way.
  #begun = false
  // Whether it is sure how its socket is written to.
  #settled = false
  #ended = false
  #gone = false

  /** @param turn what it shares with the other sinks of the process. Default: one of its own. */
  constructor(response: ServerResponse, headers: AnswerHeaders, turn: WriteTurn = new WriteTurn()) {
    this.#response = response
    this.#turn = turn
    // A reader that resets its connection is closed, not an error of ours.
    response.on('error', () => response.destroy())
    if (response.destroyed) {
      this.#gone = true
      return
    }
    response.once('close', this.#onClose)
    const head: Record<string, string | number | string[]> = {}
    for (const name in headers) {
      const value = headers[name]
      if (value !== undefined) head[name] = value
    }
    // A stream is the last that its connection carries.
    if (response.req.httpVersionMajor === 1) head.connection = 'close'
    response.writeHead(200, head)
    turn.settle(this)
  }

  get busy(): boolean {
    if (this.#queued === 0) return false
    if (this.#raw !== undefined || this.#queuedTurn !== this.#turn.number) return true
    // TLS says only later that the kernel has it all, so within the turn it is not the peer who is slow.
    return this.#response?.socket instanceof TLSSocket ? false : this.#queuedBytes > 0
  }

  get pendingBytes(): number {
    const gathered = this.#batch?.byteLength ?? 0
    if (this.#queued === 0) return gathered
    return gathered + this.#queuedBytes
  }

  get closed(): boolean {
    return this.#ended || this.#gone
  }

  get lost(): boolean {
    return this.closed || (this.#raw?.destroyed ?? this.#response?.destroyed ?? true)
  }

  attach(owner: SinkOwner): void {
    this.#owner = owner
  }

  write(frame: Frame): void {
    if (this.#ended || this.#gone) return
    const turn = this.#turn
    if (this.#turnNumber !== turn.number) {
      this.#turnNumber = turn.number
      turn.begin()
      if (!this.#bursting) {
        if (this.#raw === undefined) this.#writeOrdinary(frame.bytes)
        else this.#writeRaw(this.#raw, frame.chunk)
        return
      }
    }
    if (this.#batch === undefined) {
      turn.gather(this)
      this.#batch = turn.empty
    }
    this.#batch = this.#batch.with(frame)
  }

  flush(): void {
    const batch = this.#batch
    if (batch === undefined) return
    this.#batch = undefined
    this.#bursting = batch.size > (this.#bursting ? 1 : 0)
    if (this.#gone) return
    if (this.#raw === undefined) this.#writeOrdinary(batch.whole.bytes)
    else this.#writeRaw(this.#raw, batch.whole.chunk)
  }

  end(): void {
    if (this.closed) return
    this.flush()
    this.#ended = true
    this.#cutTimer = setTimeout(() => this.#destroy(), END_GRACE_MS)
    this.#cutTimer.unref()
    if (this.#raw === undefined) this.#response?.end()
    else this.#note(this.#raw.end(this))
  }

  /** For the end of the turn of its opening: takes its socket over, where that is right. */
  settle(): void {
    const response = this.#response
    // Tried again once the kernel has what is queued.
    if (response === undefined || this.closed || this.#queued > 0) return
    this.#settled = true
    const head = this.#begun ? '' : unsentHead(response)
    response.off('close', this.#onClose)
    const raw =
      head === undefined ? undefined : RawSocket.takeOver(response, this.#turn.writer, this.#onClose)
    if (raw === undefined || head === undefined) {
      response.once('close', this.#onClose)
      // Where nothing is written, Node would keep the head for the first bytes.
      response.flushHeaders()
      return
    }
    this.#raw = raw
    this.#response = undefined
    if (head !== '') this.#writeFirst(raw, head)
  }

  /** For what writes for it: the kernel has what was queued. */
  onWritten(): void {
    if (this.#gone) return
    this.#queued -= 1
    if (this.#queued > 0) return
    if (!this.#settled) this.#turn.settle(this)
    this.#owner?.onSinkDrained()
  }

  get #queuedBytes(): number {
    return this.#raw?.queuedBytes ?? this.#response?.writableLength ?? 0
  }

  /** Writes the head, and what was gathered behind it. */
  #writeFirst(raw: RawSocket, head: string): void {
    const chunk = this.#batch?.whole.chunk
    this.#batch = undefined
    this.#bursting = false
    const bytes = Buffer.from(head, 'latin1')
    this.#writeRaw(raw, chunk === undefined ? bytes : Buffer.concat([bytes, chunk]))
  }

  #writeRaw(raw: RawSocket, chunks: Uint8Array): void {
    this.#note(raw.write(chunks, this))
  }

  #note(outcome: WriteOutcome): void {
    if (outcome === 'queued') this.#queued += 1
    else if (outcome === 'failed') this.#destroy()
  }

  #writeOrdinary(bytes: Uint8Array): void {
    this.#begun = true
    this.#turn.begin()
    if (this.#queued === 0) this.#queuedTurn = this.#turn.number
    this.#queued += 1
    // Node would cork it till the end of the tick, each line of it elsewhere, where it is not corked already. So it is
    // known at once what the kernel does not take.
    const socket = this.#response?.socket
    socket?.cork()
    this.#response?.write(bytes, () => this.onWritten())
    socket?.uncork()
  }

  #destroy(): void {
    if (this.#raw === undefined) this.#response?.destroy()
    else this.#raw.destroy()
  }

  readonly #onClose = (): void => {
    this.#gone = true
    this.#batch = undefined
    this.#response = undefined
    this.#queued = 0
    clearTimeout(this.#cutTimer)
    this.#owner?.onSinkClosed()
  }
}
