import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { RedisAddress } from '../redis-target.ts'

/** The master as a Sentinel names it. */
export interface NamedMaster {
  readonly address: RedisAddress
  /** Rises with each failover, `config-epoch`: of two Sentinels that name others, the one with the higher is right. */
  readonly epoch: number
}

/** Why one that answers is of no use. */
export const UNKNOWN_MASTER = 'the Sentinels know no master of this name'

const STATE = Compile(Type.Array(Type.String()))
const ADDRESS = Compile(Type.Tuple([Type.String(), Type.String()]))

/**
 * What a Sentinel answered to `SENTINEL MASTER` and `SENTINEL GET-MASTER-ADDR-BY-NAME`. The first has the epoch; the second has the
 * new master's address as soon as that counts.
 *
 * @throws Error that says what is wrong with it.
 */
export function namedMaster(state: unknown, address: unknown): NamedMaster {
  if (address === null) throw new Error(UNKNOWN_MASTER)
  if (!STATE.Check(state) || !ADDRESS.Check(address)) throw new Error('what answers there is no Sentinel')
  const [host, port] = address
  const epoch = Number(state[state.indexOf('config-epoch') + 1])
  if (!Number.isInteger(epoch)) throw new Error('a Sentinel does not say its config-epoch')
  return { address: { host, port: Number(port) }, epoch }
}
