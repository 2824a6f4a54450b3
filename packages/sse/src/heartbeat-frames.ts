import { encodeFrame, type HeartbeatData } from '@tributary/protocol'
import { Frame } from './frame.ts'

/** Makes heartbeats. Readers at the same place get the same bytes. */
export class HeartbeatFrames {
  #id: string | undefined
  #timestamp = 0
  #frame: Frame | undefined

  /** @param id the reader's position, so that a quiet reader's cursor does not age. */
  frame(id: string, timestamp: number): Frame {
    if (this.#frame === undefined || this.#id !== id || this.#timestamp !== timestamp) {
      const data: HeartbeatData = { timestamp }
      this.#frame = new Frame(encodeFrame({ id, event: 'heartbeat', data: JSON.stringify(data) }))
      this.#id = id
      this.#timestamp = timestamp
    }
    return this.#frame
  }
}
