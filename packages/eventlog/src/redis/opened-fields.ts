import { RedisReplyError } from '@tributary/redis'
import type { OpenOptions } from '../event-log.ts'
import { LogMissingError } from '../log-error.ts'
import type { OpenedLog } from './redis-event-log.ts'
import type { LogKeys } from './redis-keys.ts'
import { randomId, type StoreCalls } from './store-calls.ts'

/** What a log is in Redis, which is made there where it may be. @throws LogMissingError where it must be there, and is not. */
export async function openedFields(
  name: string,
  keys: LogKeys,
  { runId = '', attributes = {}, mustExist = false }: OpenOptions,
  calls: StoreCalls,
): Promise<OpenedLog> {
  if (mustExist) {
    const fields = await calls.fields(keys)
    if (fields === undefined) throw new LogMissingError(name)
    return { ...fields, isOurs: false }
  }
  const life = randomId()
  const fields = await calls.make(keys, runId, attributes, life)
  if (fields === undefined) throw new RedisReplyError(`the log ${name} was not made`)
  // Who opens one without any does not know what it is for.
  return { ...fields, isOurs: fields.life === life && Object.keys(attributes).length > 0 }
}
