/** Secrets of a session, each with a text that is nowhere else, to be searched for afterwards. */
export class Marks {
  readonly #all: { readonly what: string; readonly text: string }[] = []

  get all(): readonly { readonly what: string; readonly text: string }[] {
    return this.#all
  }

  /** A new secret. */
  make(what: string): string {
    const text = `mark${this.#all.length}x${what}x0123456789abcdefghij`
    this.add(what, text)
    return text
  }

  /** One that was made elsewhere. */
  add(what: string, text: string): void {
    this.#all.push({ what, text })
  }
}
