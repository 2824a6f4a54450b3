import type { AppendOptions, EventLog } from '@tributary/eventlog'
import { caughtUp } from './caught-up.ts'
import type { StoreWait } from './store-wait.ts'

/** The attribute that says how often a run was taken over in vain, and where its log ended then: `<times> <n>`. */
const TAKEOVERS = 'takeovers'
/** Events that a task has anew with each executor. A run that comes no further than these kills whoever takes it. */
const REPEATED: ReadonlySet<string> = new Set(['task_start', 'task_retry', 'task_progress'])

type NoteWithLog = NonNullable<AppendOptions['attributes']>

/** That a run is taken over from a node that is gone. */
export interface Takeover {
  /** This one, and those before it since which the run has come no further. */
  readonly times: number
  /** What is to be noted of it with the log. */
  readonly attributes: NoteWithLog
}

/** Of a run that waited for its first node. */
export const FIRST_TAKEOVER: Takeover = { times: 0, attributes: {} }

/** For who is about to take a run over. @param waiting as `caughtUp`. */
export async function countTakeover(log: EventLog, waiting: StoreWait): Promise<Takeover> {
  // What is known of it here may be from before the last one counted.
  await caughtUp(log, waiting)
  const [, earlier = '0', n = '0'] = /^(\d+) (\d+)$/.exec(log.attributes.get(TAKEOVERS) ?? '') ?? []
  const times = (await hasProgress(log, Number(n))) ? 1 : Number(earlier) + 1
  return { times, attributes: { [TAKEOVERS]: `${times} ${log.head.n}` } }
}

/** Forgets those that were counted: what to note where a node lets go of a run in good order. */
export function noTakeovers(log: EventLog): NoteWithLog | undefined {
  return log.attributes.has(TAKEOVERS) ? { [TAKEOVERS]: null } : undefined
}

async function hasProgress(log: EventLog, since: number): Promise<boolean> {
  for (let after = since, hasMore = true; hasMore; ) {
    const page = await log.read(after)
    if (page.entries.some(({ event }) => !REPEATED.has(event.type))) return true
    after = page.entries.at(-1)?.position.n ?? after
    hasMore = page.hasMore && page.entries.length > 0
  }
  return false
}
