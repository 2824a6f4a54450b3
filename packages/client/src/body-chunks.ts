/** A body as browsers have it that cannot iterate over a stream yet. */
interface ReaderBody {
  getReader(): {
    read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>
    cancel(): Promise<void>
  }
}

/** The bytes of an answer, however its `fetch` hands them out. */
export type Body = AsyncIterable<Uint8Array> | ReaderBody

/** The chunks of a body. Each is read when it is asked for, and the connection is let go when nobody asks on. */
export function bodyChunks(body: Body): AsyncIterable<Uint8Array> {
  return Symbol.asyncIterator in body ? body : readChunks(body)
}

async function* readChunks(body: ReaderBody): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  try {
    for (;;) {
      const { value } = await reader.read()
      if (value === undefined) return
      yield value
    }
  } finally {
    // Of a body that has ended or broken there is nothing left to cancel, and it says so.
    await reader.cancel().catch(() => undefined)
  }
}
