/** Work by its name, each at most once at a time: who asks for what is under way gets that. */
export class InFlight<T> {
  readonly #running = new Map<string, Promise<T>>()

  run(name: string, work: () => Promise<T>): Promise<T> {
    let running = this.#running.get(name)
    if (running === undefined) {
      running = work().finally(() => this.#running.delete(name))
      this.#running.set(name, running)
    }
    return running
  }

  /** Resolves once what is under way of this name is done, or has failed. */
  async settled(name: string): Promise<void> {
    await this.#running.get(name)?.catch(() => undefined)
  }
}
