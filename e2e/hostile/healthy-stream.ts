import { EventCollector } from '@tributary/testkit'
import { expect } from 'vitest'
import { postJson } from '../services.ts'
import type { Who } from './tokens.ts'

const MANAGED = '/api/sse/managed'

/** A stream that is open all along, and must get each of its numbered events, in order. */
export class HealthyStream {
  readonly #reader: EventCollector
  readonly #url: string
  readonly #tokenOf: (who: Who) => string
  #sent = 0

  private constructor(reader: EventCollector, url: string, tokenOf: (who: Who) => string) {
    this.#reader = reader
    this.#url = url
    this.#tokenOf = tokenOf
  }

  static async open(gatewayUrl: string, tokenOf: (who: Who) => string): Promise<HealthyStream> {
    const reader = await EventCollector.open(`${gatewayUrl}${MANAGED}/connect?timeout=3600000`, {
      headers: { authorization: `Bearer ${tokenOf('healthy')}` },
    })
    await reader.waitFor('connection')
    return new HealthyStream(reader, gatewayUrl, tokenOf)
  }

  /** Sends it an event before, while and after something is done, and holds that these came, and nothing besides. */
  async during<T>(act: () => Promise<T>): Promise<T> {
    await this.#send()
    const acting = act()
    // A failure shows below; until then it must not pass for one that nobody awaits.
    acting.catch(() => undefined)
    await this.#send()
    const result = await acting
    await this.#send()
    await this.#reader.waitForCount('healthy', 3)
    const events = this.#reader.events.splice(0)
    const ofLog = events.filter(({ type }) => type !== 'connection' && type !== 'heartbeat')
    expect(ofLog.map(({ type, data }) => [type, data])).toEqual(
      [2, 1, 0].map((back) => ['healthy', this.#sent - back]),
    )
    return result
  }

  close(): Promise<void> {
    return this.#reader.close()
  }

  async #send(): Promise<void> {
    this.#sent += 1
    const send = { event: 'healthy', data: this.#sent }
    const answer = await postJson(`${this.#url}${MANAGED}/send/user/healthy`, send, {
      authorization: `Bearer ${this.#tokenOf('publisher')}`,
    })
    expect(await answer.json()).toMatchObject({ success: true, delivered: 1 })
  }
}
