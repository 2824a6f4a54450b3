import {
  isMarkedAsUntransferable,
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
} from 'node:worker_threads'
import type { HandlerRequest, HandlerResponse, TaskContext } from './define-task.ts'
import { toErrorData } from './error-data.ts'
import type { FromThread, ToThread } from './thread-message.ts'

/** The host's end of what a thread says and asks while it runs one task: all of it goes to the task's context. */
export class ThreadChannel {
  /** The thread's end. */
  readonly remotePort: MessagePort
  readonly unread = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
  readonly #port: MessagePort
  readonly #context: TaskContext
  #isStarted = false
  #isClosed = false

  constructor(context: TaskContext) {
    const { port1, port2 } = new MessageChannel()
    this.#context = context
    this.#port = port1
    this.remotePort = port2
    port1.on('message', (message: FromThread) => this.#take(message))
    // Only the task itself keeps the process alive.
    port1.unref()
  }

  /** Whether the thread has begun with the task. */
  get isStarted(): boolean {
    return this.#isStarted
  }

  /** Takes what was posted and not yet read. An outcome comes another way and may overtake it. */
  drain(): void {
    for (
      let next = receiveMessageOnPort(this.#port);
      next !== undefined;
      next = receiveMessageOnPort(this.#port)
    ) {
      this.#take(next.message as FromThread)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#port.close()
  }

  #take(message: FromThread): void {
    switch (message.kind) {
      case 'started':
        this.#isStarted = true
        return
      case 'progress':
        Atomics.sub(new Int32Array(this.unread), 0, 1)
        this.#context.progress(message.report)
        return
      case 'log':
        Atomics.sub(new Int32Array(this.unread), 0, 1)
        this.#context.log[message.level](message.message, message.fields)
        return
      case 'request':
        void this.#answer(message.id, message.request)
    }
  }

  async #answer(id: number, request: HandlerRequest): Promise<void> {
    try {
      const response = owned(await this.#context.request(request))
      this.#post({ kind: 'response', id, response }, [response.body.buffer])
    } catch (error) {
      this.#post({ kind: 'failure', id, error: toErrorData(error) }, [])
    }
  }

  #post(message: ToThread, transferList: ArrayBuffer[]): void {
    if (!this.#isClosed) this.#port.postMessage(message, transferList)
  }
}

/** The response with bytes that can be moved to the thread. They are, unless others live in the same buffer. */
function owned({ status, headers, body }: HandlerResponse) {
  const { buffer } = body
  const isMovable =
    buffer instanceof ArrayBuffer &&
    buffer.byteLength === body.byteLength &&
    !isMarkedAsUntransferable(buffer)
  return { status, headers, body: isMovable ? new Uint8Array(buffer) : new Uint8Array(body) }
}
