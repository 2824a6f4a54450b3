import type { LogEntry, ReadableLog } from '@tributary/eventlog'
import { type Clock, type Cursor, DEFAULT_POLL_LIMIT, type Naming, type Topic } from '@tributary/protocol'
import { DEFAULT_FORM } from './entry-frame.ts'
import { PageReader } from './page-reader.ts'
import { PollPage } from './poll-page.ts'
import { SentMarks } from './sent-marks.ts'
import type { StreamCredential } from './stream-credential.ts'
import type { WaitingPolls } from './waiting-polls.ts'

export interface PollOptions {
  readonly log: ReadableLog
  readonly clock: Pick<Clock, 'after'>
  /** What the reader presented. */
  readonly cursor?: Cursor | undefined
  /** The same as it came. */
  readonly cursorText?: string | undefined
  /**
   * Where a reader without a cursor begins: at the oldest event, as of a run; or at the head, and then it is
   * answered at once, with the cursor to wait from.
   */
  readonly startAt: 'oldest' | 'head'
  /** Default `DEFAULT_POLL_LIMIT`. */
  readonly limit?: number | undefined
  /** How long it may wait for the first event, in ms. Default 0. */
  readonly waitMs?: number | undefined
  /** Aborted where nobody waits for the answer any more. */
  readonly signal?: AbortSignal
  /** Where it is counted while it waits. */
  readonly waiting?: WaitingPolls
  /** What it is asked with: a server's poll waits no longer than that counts. Default: nothing, which has no end. */
  readonly credential?: StreamCredential | undefined
  /** The names of the events. Default `standard`. */
  readonly naming?: Naming
  /** Default: all there are. */
  readonly topics?: readonly Topic[]
  /** Whether an entry is for this reader. Default: every one. */
  readonly accepts?: (entry: LogEntry) => boolean
  /**
   * How it hears of entries that may be for it, while it waits; who names one has the log follow them. Default: it
   * follows its topics, and hears by the log's own `tail`.
   */
  readonly tail?: ReadableLog['tail']
}

interface Flag {
  is: boolean
}

/**
 * Reads a page of a log after a cursor. Where there is nothing yet it waits for the first event, until its time
 * is over, the log ends, or whoever asked goes away.
 *
 * @throws ProblemError `overloaded` where too many wait.
 */
export async function pollLog(options: PollOptions): Promise<PollPage> {
  const following = options.tail === undefined ? options.log.follow(options.topics) : undefined
  try {
    if (following?.ready !== undefined) await following.ready
    return await readPage(options)
  } finally {
    following?.end()
  }
}

/** Where the log is rewound on the way, what was read may be of what it was: it is read anew, without waiting for more. */
async function readPage(options: PollOptions): Promise<PollPage> {
  const rewound = { is: false }
  const unrewind = options.log.onRewind(() => {
    rewound.is = true
  })
  try {
    let page = await locateAndRead(options, rewound)
    while (rewound.is) {
      rewound.is = false
      page = await locateAndRead({ ...options, waitMs: 0 }, rewound)
    }
    return page
  } finally {
    unrewind()
  }
}

async function locateAndRead(options: PollOptions, rewound: Readonly<Flag>): Promise<PollPage> {
  const { log, cursor, cursorText, startAt, topics, waitMs = 0, naming = DEFAULT_FORM.naming } = options
  const start = cursor === undefined ? undefined : await log.locate(cursor, topics)
  const reader = new PageReader({
    log,
    after: start?.after ?? (startAt === 'head' ? log.head : { ms: 0, n: 0 }),
    beginsAtOldest: cursor === undefined ? startAt === 'oldest' : cursor.kind === 'time' && cursor.ms === 0,
    sent: new SentMarks(cursor),
    ...(start?.gap === undefined ? {} : { gap: start.gap, from: cursorText }),
    ...(start?.lostUpTo === undefined ? {} : { lostUpTo: start.lostUpTo }),
    limit: options.limit ?? DEFAULT_POLL_LIMIT,
    topics,
    accepts: options.accepts,
  })
  const answersAtOnce = cursor === undefined && startAt === 'head'
  if (!answersAtOnce) {
    await reader.read()
    if (waitMs > 0 && reader.isEmpty && !rewound.is) await waitForMore(reader, options, rewound)
  }
  return new PollPage({ ...reader.page(), naming })
}

async function waitForMore(reader: PageReader, options: PollOptions, rewound: Readonly<Flag>): Promise<void> {
  const { log, clock, signal, waitMs = 0, waiting, credential } = options
  const { tail = (listener: (entry: LogEntry) => void) => log.tail(listener) } = options
  const over: Flag = { is: signal?.aborted === true }
  let wake: () => void = () => undefined
  const end = () => {
    over.is = true
    wake()
  }
  const done = waiting?.add(end, credential)
  const cancel = clock.after(waitMs, end)
  signal?.addEventListener('abort', end, { once: true })
  const untail = tail((entry) => {
    if (reader.concerns(entry)) wake()
  })
  const unrewind = log.onRewind(end)
  try {
    while (!over.is && reader.isEmpty) {
      const woken = Promise.withResolvers<void>()
      wake = woken.resolve
      // What was appended since the last read was told to nobody who would wake.
      if (!reader.isAtHead) wake()
      await woken.promise
      // The last time too: what was for others moves the cursor on.
      if (signal?.aborted !== true && !rewound.is) await reader.read()
    }
  } finally {
    untail()
    unrewind()
    signal?.removeEventListener('abort', end)
    cancel()
    done?.()
  }
}
