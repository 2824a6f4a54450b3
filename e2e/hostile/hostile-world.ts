import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, startWorker } from '../services.ts'
import { type Answer, codeOf, sendBytes } from './answer.ts'
import { HealthyRun } from './healthy-run.ts'
import { HealthyStream } from './healthy-stream.ts'
import { type Attacked, bytesOf, type HostileCase } from './hostile-case.ts'
import { LogLines } from './log-lines.ts'
import { AUDIENCE, ISSUER, SECRET, tokenOf, type Who } from './tokens.ts'

type Env = Readonly<Record<string, string>>

/** As in production, but for the limits that a suite of hundreds of requests from one address would meet. */
const ENV: Env = {
  NODE_ENV: 'production',
  LOG_LEVEL: 'debug',
  AUTH_JWT_SECRET: SECRET,
  AUTH_JWT_ISSUER: ISSUER,
  AUTH_JWT_AUDIENCE: AUDIENCE,
  WORKER_SECRET: 'another secret of more than 32 characters',
  MAX_CONNECTIONS_PER_USER: '1000',
  RATE_LIMIT_REQUESTS: '0',
  RATE_LIMIT_PUBLISHES: '0',
  RATE_LIMIT_CONNECTS: '0',
  RATE_LIMIT_RUNS: '0',
}

export interface WorldOptions {
  /** Variables of the gateway beside the usual. */
  readonly gateway?: Env
  /** Variables of the worker beside the usual. */
  readonly worker?: Env
  /** Makes good tokens, where the usual secret is not used. */
  readonly tokenOf?: (who: Who) => string
}

/** A gateway and a worker as in production, and a stream that must miss nothing. */
export class HostileWorld implements Attacked, AsyncDisposable {
  readonly gateway: Attacked['gateway']
  readonly worker: Attacked['worker']
  readonly healthy: HealthyStream
  /** None where the worker may not call this machine. */
  readonly healthyRun: HealthyRun | undefined
  /** What both have logged, from `debug` on. */
  readonly log: LogLines

  readonly #tokenOf: (who: Who) => string

  private constructor(
    parts: Pick<HostileWorld, 'gateway' | 'worker' | 'healthy' | 'healthyRun' | 'log'>,
    makeToken: (who: Who) => string,
  ) {
    this.gateway = parts.gateway
    this.worker = parts.worker
    this.healthy = parts.healthy
    this.healthyRun = parts.healthyRun
    this.log = parts.log
    this.#tokenOf = makeToken
  }

  static async start(options: WorldOptions = {}): Promise<HostileWorld> {
    const log = new LogLines()
    const worker = await startWorker({ env: { ...ENV, ...options.worker }, logTo: log })
    const gateway = await startGateway({
      workers: [worker],
      env: { ...ENV, ...options.gateway },
      logTo: log,
    })
    const makeToken = options.tokenOf ?? tokenOf
    const healthy = await HealthyStream.open(gateway.url, makeToken)
    const healthyRun =
      options.worker?.OUTBOUND_ALLOW === undefined ? await HealthyRun.open(worker.url, makeToken) : undefined
    return new HostileWorld({ gateway, worker, log, healthy, healthyRun }, makeToken)
  }

  /** Sends a case. */
  ask(one: HostileCase): Promise<Answer> {
    return one.request?.(this) ?? sendBytes(this[one.to ?? 'gateway'].url, bytesOf(one, this.#tokenOf))
  }

  /** Sends a case, and holds that it is answered as it says, that nobody else felt it, and that the log is whole. */
  async hold(one: HostileCase): Promise<Answer> {
    const answer = await this.healthy.during(() =>
      one.to === 'worker' && this.healthyRun !== undefined
        ? this.healthyRun.during(() => this.ask(one))
        : this.ask(one),
    )
    const { status, code } = one
    expect({ status: answer.status, code: codeOf(answer) }, answer.raw.slice(0, 2_000)).toEqual({
      status,
      code,
    })
    this.log.check()
    return answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.healthy.close()
    await this.healthyRun?.close()
    await this.gateway.close()
    await this.worker.close()
  }
}

/**
 * Starts a world for the tests of a file, and gives what makes a test of each case:
 *
 *     const hostile = inHostileWorld()
 *     hostile('a token', [{ name: 'of nobody', path: '/api/sse?token=x', status: 401, code: 'token_invalid' }])
 *
 * What is given besides is held of each answer.
 */
export function inHostileWorld(options: WorldOptions = {}) {
  let world: HostileWorld
  beforeAll(async () => {
    world = await HostileWorld.start(options)
  })
  afterAll(() => world[Symbol.asyncDispose]())
  return (
    title: string,
    cases: readonly HostileCase[],
    alsoHold?: (answer: Answer, world: HostileWorld) => unknown,
  ) => {
    describe(title, () => {
      it.each(cases.map((one) => ({ ...one, title: `${one.name} → ${one.status} ${one.code ?? ''}` })))(
        '$title',
        async (one) => {
          const answer = await world.hold(one)
          await alsoHold?.(answer, world)
        },
      )
    })
  }
}
