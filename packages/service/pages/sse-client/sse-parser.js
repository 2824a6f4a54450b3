/** @typedef {{type: string, data: string, id: string | undefined}} WireEvent */

const LINE_BREAK = /\r\n|\r|\n/g
/** The most characters held for an event that has not ended. */
const MAX_EVENT_CHARS = 2_097_152

/** Parses a stream of text into events (WHATWG HTML, "Interpreting an event stream"). */
export class SseParser {
  #onEvent
  #rest = ''
  #begun = false
  #endedInCr = false
  #heldChars = 0
  /** @type {string[]} */
  #data = []
  #type = ''
  /** @type {string | undefined} */
  #id

  /** @param {(event: WireEvent) => void} onEvent */
  constructor(onEvent) {
    this.#onEvent = onEvent
  }

  /**
   * @param {string} text
   * @throws {RangeError} where an event is longer than we are willing to hold
   */
  feed(text) {
    if (text === '') return
    let input = text
    if (!this.#begun && input.startsWith('\uFEFF')) input = input.slice(1)
    this.#begun = true
    // A CR LF that was cut in two is one line break.
    if (this.#endedInCr && input.startsWith('\n')) input = input.slice(1)
    this.#endedInCr = input === '' ? this.#endedInCr : input.endsWith('\r')
    const lines = (this.#rest + input).split(LINE_BREAK)
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#line(line)
    if (this.#heldChars + this.#rest.length > MAX_EVENT_CHARS) throw new RangeError('An event is too long')
  }

  /** @param {string} line */
  #line(line) {
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    if (colon === 0) return
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') {
      this.#data.push(value)
      this.#heldChars += value.length
    } else if (field === 'event') this.#type = value
    else if (field === 'id' && !value.includes('\0')) this.#id = value
  }

  #dispatch() {
    const event = { type: this.#type || 'message', data: this.#data.join('\n'), id: this.#id }
    const hasData = this.#data.length > 0
    this.#data = []
    this.#heldChars = 0
    this.#type = ''
    this.#id = undefined
    if (hasData) this.#onEvent(event)
  }
}
