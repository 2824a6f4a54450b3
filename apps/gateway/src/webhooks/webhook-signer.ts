import { createHmac } from 'node:crypto'

const PREFIX = 'whsec_'
const MIN_KEY_BYTES = 24
const MAX_KEY_BYTES = 64

/** Signs as Standard Webhooks 1.0 says (standardwebhooks.com): HMAC-SHA256 over id, time and body. */
export class WebhookSigner {
  readonly #key: Buffer

  /** @param secret `whsec_` and 24 to 64 bytes in base64. @throws RangeError where it is none. */
  constructor(secret: string) {
    const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
    if (!secret.startsWith(PREFIX) || key.length < MIN_KEY_BYTES || key.length > MAX_KEY_BYTES) {
      throw new RangeError(
        `must be ${PREFIX} and ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES} random bytes in base64: ` +
          `echo "${PREFIX}$(openssl rand -base64 32)" makes one`,
      )
    }
    this.#key = key
  }

  /** The headers of one attempt to deliver a body. @param nowMs milliseconds since 1970. */
  headers(id: string, body: string, nowMs: number): Record<string, string> {
    const timestamp = Math.trunc(nowMs / 1_000)
    const signature = createHmac('sha256', this.#key).update(`${id}.${timestamp}.${body}`).digest('base64')
    return {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': `v1,${signature}`,
    }
  }
}
