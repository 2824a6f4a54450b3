import type { Topic } from '@tributary/protocol'
import { RedisUnavailableError } from '@tributary/redis'
import type { AppendOptions, LogEntry, OnceKey, Retention } from '../../event-log.ts'
import { indexedTopics, NO_TOPIC } from '../../log-window.ts'
import type { KnownPlace } from '../log-state.ts'
import { type LogKeys, MAX_TOLD_TOPICS } from '../redis-keys.ts'
import { type StoredDraft, storedHead } from '../stored-entry.ts'
import { keyMark } from './keyed-entries.ts'

/** What is asked to be appended. */
export interface AppendRequest {
  readonly drafts: readonly StoredDraft[]
  readonly options?: AppendOptions | undefined
  readonly once?: OnceKey
  readonly closes?: boolean
  /** Its number, where it failed before and may have been done. */
  readonly againK?: number | undefined
  /** Whether it may be handed on here while Redis is away. */
  readonly bridges?: boolean
}

/** An append as it is sent, perhaps several times. */
export interface Attempt {
  readonly request: AppendRequest
  /** What it is known by among those of this node. */
  readonly k: number
  /** Whether it was sent before, and may have been done. */
  again: boolean
  /** Behind which number it stands then; infinite before it is sent first. */
  sinceN: number
}

/** Of what is not sent, as what was asked for before it is not stored. */
export function outOfOrder(): RedisUnavailableError {
  return new RedisUnavailableError('what comes before it is not stored', { isUnsent: true })
}

/** What came of it. */
export type Appended =
  | { readonly kind: 'appended'; readonly entries: readonly LogEntry[] }
  | {
      readonly kind: 'known'
      readonly n: number
      readonly ms: number
      /** There where it waits to be stored. */
      readonly waits?: true
    }

/** An append that another comes after. */
interface BehindArguments {
  readonly origin: string
  /** Behind which number it stands. */
  readonly sinceN: number
  /** By which another may have stored it; '' for none. */
  readonly key: string
}

export interface AppendArguments {
  readonly life: string
  /** The time in ms; '' for the server's. */
  readonly clock: string
  readonly origin: string
  /** Where it was sent before: behind which number it stands if that was done. */
  readonly sinceN: number | undefined
  /** Without `ms` it must be the head. */
  readonly known: Pick<KnownPlace, 'n' | 'origin'> & { readonly ms?: number }
  /** What it comes after. Default: whatever there is. */
  readonly behind?: BehindArguments | undefined
  readonly maxBytes: number | undefined
  readonly publish: string
  readonly keys: LogKeys
  readonly retention: (topic: Topic) => Retention
}

/** What a single entry is known by that was asked for with a key. */
export function markOf({ drafts, once }: AppendRequest): string | undefined {
  return once === undefined || drafts.length > 1 ? undefined : keyMark(once)
}

/**
 * Places that a log remembers: to tell cursors of another by, and what was appended already where no answer came. At 5,000
 * appends a second these are 3 s, of which a failover between two nodes that go on is a part; about 0.5 MB of Redis for
 * each log that has had as many.
 */
const TRAIL_LENGTH = 16_384

/** The arguments of the script `append`, as its legend says. */
export function appendArguments(request: AppendRequest, given: AppendArguments): (string | number)[] {
  const { drafts, options = {}, once, closes = false } = request
  const { life, clock, origin, sinceN, known, behind, maxBytes, publish, keys, retention } = given
  const attributes = Object.entries(options.attributes ?? {})
  const args: (string | number)[] = [
    life,
    clock,
    origin,
    sinceN ?? '',
    known.n,
    known.ms ?? '',
    known.origin,
    options.epoch ?? '',
    closes ? '1' : '0',
    behind?.origin ?? '',
    behind?.sinceN ?? '',
    behind?.key ?? '',
    once?.key ?? '',
    once?.fingerprint ?? '',
    once?.windowMs ?? '',
    maxBytes ?? '',
    TRAIL_LENGTH,
    publish,
    keys.whole,
    keys.hints,
    attributes.length === 0 ? '' : JSON.stringify(options.attributes),
    attributes.length,
  ]
  for (const [name, value] of attributes) args.push(name, value === null ? '0' : '1', value ?? '')
  args.push(drafts.length)
  for (const draft of drafts) {
    args.push(...entryArguments(draft, storedHead(draft, origin, markOf(request)), { keys, retention }))
  }
  return args
}

function* entryArguments(
  { json, topics }: StoredDraft,
  head: string,
  { keys, retention }: Pick<AppendArguments, 'keys' | 'retention'>,
): Generator<string | number> {
  const isTold = topics.length <= MAX_TOLD_TOPICS
  yield* [head, head.length, json, json.length, Math.max(1, topics.length)]
  for (const topic of indexedTopics(topics)) {
    const { maxEvents, maxAgeMs } = retention(topic)
    yield* [topic, isTold && topic !== NO_TOPIC ? keys.channelOf(topic) : '', maxEvents, Math.trunc(maxAgeMs)]
  }
}
