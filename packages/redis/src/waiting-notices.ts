import { type AddressCheckInit, whyUnreachable } from './address-check.ts'
import type { RedisNotice } from './redis-notice.ts'
import { describeTarget } from './redis-target.ts'

interface WaitingNoticesInit extends AddressCheckInit {
  readonly onNotice: (notice: RedisNotice) => void
}

/** The message of the notice that there is no Redis yet. */
export const WAITING = 'waiting for Redis'

/** How often the same reason is told again, in ms. */
const REMIND_MS = 60_000

/** Tells why there is no Redis yet: each reason once, then now and then, for there is another try several times a second. */
export class WaitingNotices {
  readonly #init: WaitingNoticesInit
  readonly #told = new Map<string, number>()
  #isOver = false

  constructor(init: WaitingNoticesInit) {
    this.#init = init
  }

  /** @param seen what the client says, which is told where the addresses themselves give no better reason. */
  async hear(seen: string): Promise<void> {
    if (!this.#isNews(seen)) return
    const reason = (await whyUnreachable(this.#init)) ?? seen
    if (this.#isOver || (reason !== seen && !this.#isNews(reason))) return
    const fields = { place: describeTarget(this.#init.target), reason }
    this.#init.onNotice({ level: 'warn', message: WAITING, fields })
  }

  /** Nothing is told any more. */
  end(): void {
    this.#isOver = true
  }

  #isNews(reason: string): boolean {
    const now = this.#init.clock.elapsed()
    if (now - (this.#told.get(reason) ?? Number.NEGATIVE_INFINITY) < REMIND_MS) return false
    this.#told.set(reason, now)
    return true
  }
}
