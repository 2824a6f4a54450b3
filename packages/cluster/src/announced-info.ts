/** The most that a node may announce of itself, in characters of JSON: it goes with each heartbeat. */
const MAX_INFO_CHARS = 16_384

/** What a node tells of itself, key by key. */
export class AnnouncedInfo {
  #info: Readonly<Record<string, unknown>> = {}

  get value(): Readonly<Record<string, unknown>> {
    return this.#info
  }

  /** Sets these keys; `undefined` takes one away. @throws RangeError where all of it would be too long. */
  set(changed: Readonly<Record<string, unknown>>): void {
    const text = JSON.stringify({ ...this.#info, ...changed })
    if (text.length > MAX_INFO_CHARS) {
      throw new RangeError(
        `A node may announce ${MAX_INFO_CHARS} characters of itself; these are ${text.length}`,
      )
    }
    const info: Record<string, unknown> = JSON.parse(text)
    this.#info = info
  }
}
