import { createServer, type IncomingMessage, type Server } from 'node:http'
import { lastingPort } from '@tributary/testkit'
import { Webhook } from 'standardwebhooks'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'

export const WEBHOOK_SECRET = `whsec_${Buffer.from('a key that is long enough for hmac').toString('base64')}`

const Batch = Type.Object({
  type: Type.Literal('tributary.events'),
  timestamp: Type.String(),
  data: Type.Object({
    events: Type.Array(
      Type.Object({
        type: Type.Enum(['connect', 'disconnect', 'join', 'leave']),
        timestamp: Type.String(),
        data: Type.Object({
          id: Type.String(),
          userId: Type.Optional(Type.String()),
          reason: Type.Optional(Type.String()),
          group: Type.Optional(Type.String()),
        }),
      }),
    ),
  }),
})
type Told = Static<typeof Batch>['data']['events'][number]
const batchCheck = Compile(Batch)

/** Takes webhooks, checks who they are of as a receiver would, and keeps them. */
export class WebhookReceiver implements AsyncDisposable {
  readonly port: number
  readonly events: Told[] = []
  readonly ids: string[] = []
  /** The status of what is refused; 0: what comes is taken. */
  refusing = 0
  refused = 0
  /** What was no webhook of ours. */
  readonly faults: unknown[] = []
  readonly #webhook = new Webhook(WEBHOOK_SECRET)
  readonly #server: Server

  private constructor(port: number) {
    this.port = port
    this.#server = createServer((request, response) => {
      this.#take(request).then(
        (status) => response.writeHead(status).end(),
        (error: unknown) => {
          this.faults.push(error)
          response.writeHead(400).end()
        },
      )
    })
  }

  static async start(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver(await lastingPort())
    await new Promise<void>((resolve) => receiver.#server.listen(receiver.port, '127.0.0.1', resolve))
    return receiver
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hooks`
  }

  /** What was told of a user, each once, in the order in which it came first. */
  of(userId: string): string[] {
    const seen = new Set<string>()
    return this.events
      .filter(({ data }) => data.userId === userId && !seen.has(data.id) && seen.add(data.id))
      .map(({ type, data }) =>
        [type, data.reason ?? data.group].filter((part) => part !== undefined).join(' '),
      )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #take(request: IncomingMessage): Promise<number> {
    const body = await textOf(request)
    if (this.refusing > 0) {
      this.refused += 1
      return this.refusing
    }
    const batch = this.#webhook.verify(body, {
      'webhook-id': String(request.headers['webhook-id']),
      'webhook-timestamp': String(request.headers['webhook-timestamp']),
      'webhook-signature': String(request.headers['webhook-signature']),
    })
    if (!batchCheck.Check(batch)) throw new Error(`this is no batch: ${body}`)
    this.ids.push(String(request.headers['webhook-id']))
    this.events.push(...batch.data.events)
    return 204
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk)
  return text
}
