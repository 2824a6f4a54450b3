import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { encodeFrame, type FrameFields } from '@tributary/protocol'

/** One thing that a scripted answer does. A script that runs out leaves the answer open. */
export type UpstreamStep = (response: ServerResponse) => Promise<void> | void

const STREAM_HEADERS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' }

async function write(response: ServerResponse, chunk: string | Uint8Array): Promise<void> {
  if (!response.headersSent) response.writeHead(200, STREAM_HEADERS)
  if (response.destroyed || response.writableEnded) return
  await new Promise<void>((resolve) => response.write(chunk, () => resolve()))
}

async function drainedOrClosed(response: ServerResponse): Promise<void> {
  const over = new AbortController()
  const { signal } = over
  await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })])
  over.abort()
}

/** What a script is made of: `upstream.script('/path', [steps.frame({…}), steps.destroy()])`. */
export const steps = {
  /** Sends the head of an event stream, and nothing yet. */
  open: (): UpstreamStep => (response) => {
    response.writeHead(200, STREAM_HEADERS).flushHeaders()
  },

  /** Sends one frame; `data` other than a string goes as JSON. */
  frame:
    ({ data, ...fields }: Omit<FrameFields, 'data'> & { data?: unknown }): UpstreamStep =>
    (response) => {
      const text = data === undefined || typeof data === 'string' ? data : JSON.stringify(data)
      return write(response, encodeFrame({ ...fields, ...(text === undefined ? {} : { data: text }) }))
    },

  /** Sends bytes as they are: half a frame, a foreign field, a broken UTF-8 sequence. */
  raw:
    (bytes: string | Uint8Array): UpstreamStep =>
    (response) =>
      write(response, bytes),

  /** Sends one line of `data:` that never ends, as much as the client takes up to `chars`. */
  hugeLine:
    (chars: number): UpstreamStep =>
    async (response) => {
      await write(response, 'data: ')
      const chunk = 'x'.repeat(65_536)
      for (let sent = 0; sent < chars && !response.destroyed; sent += chunk.length) {
        if (!response.write(chunk)) await drainedOrClosed(response)
      }
    },

  /** Goes on when the promise resolves: what the test does between two frames. */
  until:
    (promise: Promise<unknown>): UpstreamStep =>
    async () => {
      await promise
    },

  /** Ends the answer cleanly. */
  end: (): UpstreamStep => (response) => void response.end(),

  /** Cuts the connection, in the middle of whatever was sent; without a head where none was sent. */
  destroy: (): UpstreamStep => (response) => void response.destroy(),

  /** Answers at once with a status, headers and a body: a problem, a redirect, a page. */
  answer:
    (status: number, headers: Readonly<Record<string, string>> = {}, body = ''): UpstreamStep =>
    (response) =>
      void response.writeHead(status, headers).end(body),

  /** Answers a page where a stream was expected. */
  html: (status = 200): UpstreamStep =>
    steps.answer(status, { 'content-type': 'text/html' }, '<!doctype html><title>No stream</title>'),

  redirect: (location: string, status = 302): UpstreamStep => steps.answer(status, { location }),
} as const
