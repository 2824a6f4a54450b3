import type { Clock } from '@tributary/protocol'
import Type from 'typebox'
import { type ConnectionSettings, connectSubscriber, type RedisClient } from './connection-options.ts'
import { RedisReplyError } from './redis-error.ts'
import { defineScript } from './redis-script.ts'

const RIGHTS = defineScript({
  name: 'rights',
  file: new URL('./rights.lua', import.meta.url),
  answer: Type.Array(Type.String()),
})

/** The hash of nothing that is a script. */
const NO_SCRIPT = '0'.repeat(40)
const SHORTEST_WAIT_S = 0.01

export interface RightsCheckInit {
  readonly client: RedisClient
  readonly settings: ConnectionSettings
  /** Of a key, and of a channel, that are nobody's. */
  readonly name: string
  readonly isSharded: boolean
  readonly clock: Pick<Clock, 'after'>
}

/**
 * Looks whether the user may do all that we need, so that what is missing is told at the start and by its name, and is no
 * fault of some request later.
 *
 * @throws the server's error, and RedisReplyError that names the commands that it refuses.
 */
export async function checkRights({
  client,
  settings,
  name,
  isSharded,
  clock,
}: RightsCheckInit): Promise<void> {
  const refused = RIGHTS.parse(await client.eval(RIGHTS.lua, 1, name))
  if (refused.length > 0) {
    const names = refused.join(', ')
    throw new RedisReplyError(
      `NOPERM this user may not run, or the server does not have (rename-command), in a script: ${names}`,
    )
  }
  await checkOutsideScripts(client, name)
  const subscriber = connectSubscriber(settings)
  subscriber.on('error', () => undefined)
  const over = Promise.withResolvers<void>()
  // Sentinels may be asked for a master for ever.
  const cancel = clock.after(settings.timeoutMs, over.resolve)
  subscriber.once('ready', over.resolve)
  subscriber.once('close', over.resolve)
  try {
    await over.promise
    await (isSharded ? subscriber.ssubscribe(name) : subscriber.subscribe(name))
  } catch (error) {
    // Another master's channel, or a server that went away: this is no word on what the user may do.
    if (error instanceof Error && error.message.startsWith('NOPERM')) throw error
  } finally {
    cancel()
    subscriber.disconnect()
  }
}

/** What no script can try. @throws the server's error. */
async function checkOutsideScripts(client: RedisClient, name: string): Promise<void> {
  await client.evalsha(NO_SCRIPT, 1, name).catch((error: unknown) => {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
  })
  await client.bzpopmin(name, SHORTEST_WAIT_S)
}
