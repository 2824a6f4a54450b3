import { ProblemError } from '@tributary/protocol'
import type { App } from './app.ts'
import { describeConfig } from './config/config.ts'
import { ConfigError } from './config/config-error.ts'
import { SECRET_VARIABLES } from './config/service-config.ts'
import type { Drain } from './drain.ts'
import { isListenError, type ListenAddress, listenErrorMessage } from './listen-error.ts'
import { WaitingServer } from './waiting-server.ts'

/** A service that is built and does not listen yet. */
export interface Service {
  readonly app: App
  readonly drain: Drain
  /** Called once it listens, with where: for work that readers may come for, or that calls the service itself. */
  begin?(url: string): Promise<void>
  /** Closes what is left when the app is closed: stores, pools. Also called when listening fails. */
  close?(): Promise<void> | void
}

/** What a service can say while it is being built. */
export interface Starting {
  /** It waits for something that is away, and goes on by itself. Meanwhile health is answered. May be called again. */
  waits(reason: string): void
}

export interface ServiceOptions<Config> {
  /** What the process calls itself in front of a fault. */
  readonly name: string
  /** Reads the configuration. */
  readConfig(): Config
  build(config: Config, starting: Starting): Promise<Service> | Service
  /** Where to listen, and which variables say so. */
  address(config: Config): ListenAddress
}

/** The argument with which a service prints its configuration, without secrets, and ends. */
const PRINT_CONFIG = '--print-config'

/**
 * Connections that the kernel holds until they are taken, as far as it allows. Node's 511 is too few where thousands
 * of readers come back in the same moment: the kernel would drop them, to try again after a second, then two, four.
 */
const BACKLOG = 16_384

/** A signal within this time of the first is its echo: a terminal and a starter both pass Ctrl-C on. */
const SIGNAL_ECHO_MS = 250

/**
 * The life of a service's process: build, listen, drain on SIGTERM, SIGINT or the end of the starter's IPC
 * channel, then exit 0. A second signal exits at once.
 *
 * It writes `{"msg":"listening","url":…}` whatever the log level, since a starter waits for it. A fault of
 * configuration or of the address is one line on standard error, and exit 1; any other error comes with its stack.
 */
export async function runService<Config extends Readonly<Record<string, unknown>>>(
  options: ServiceOptions<Config>,
): Promise<void> {
  const life = new ProcessLife(options.name)
  let service: Service | undefined
  try {
    const config = options.readConfig()
    if (process.argv.includes(PRINT_CONFIG)) {
      process.stdout.write(`${describeConfig(config, SECRET_VARIABLES)}\n`)
      return
    }
    const address = options.address(config)
    service = await buildService(options, config, new WaitingServer(address), life)
    const { app } = service
    life.began(service)
    const url = await listen(app, address)
    await service.begin?.(url)
  } catch (error) {
    // A signal while it starts makes listening fail; the drain under way ends the process.
    if (life.isEnding) return
    // The first error is the one to tell, whatever becomes of closing.
    await Promise.allSettled([service?.app.close()])
    await Promise.allSettled([service?.close?.()])
    life.failed(error)
  }
}

/** Builds it, and answers health as long as that has to wait. */
async function buildService<Config>(
  { build }: ServiceOptions<Config>,
  config: Config,
  waiting: WaitingServer,
  life: ProcessLife,
): Promise<Service> {
  try {
    const waits = (reason: string) =>
      void waiting.wait(reason).catch((error: unknown) => {
        if (!life.isEnding) life.failed(error)
      })
    return await build(config, { waits })
  } finally {
    await waiting.close()
  }
}

async function listen(app: App, address: ListenAddress): Promise<string> {
  try {
    const bound = await app.listen({
      host: address.host,
      port: address.port,
      backlog: BACKLOG,
      listenTextResolver: () => 'socket bound',
    })
    const url = bound.replace('//[::]:', '//[::1]:')
    app.log.child({}, { level: 'info' }).info({ url }, 'listening')
    return url
  } catch (error) {
    if (!isListenError(error)) throw error
    throw new ConfigError([listenErrorMessage(error, address)], { cause: error })
  }
}

/** What ends the process, and how. */
class ProcessLife {
  readonly #name: string
  #service: Service | undefined
  #endingSince: number | undefined

  constructor(name: string) {
    this.#name = name
    process.on('SIGTERM', () => this.#signalled())
    process.on('SIGINT', () => this.#signalled())
    process.once('disconnect', () => this.#end())
    // Node hands rejections that nobody handles here too.
    process.on('uncaughtException', (error, origin) => {
      if (this.#service === undefined) this.failed(error)
      this.#service?.app.log.fatal({ err: error, origin }, 'uncaught error')
      process.exit(1)
    })
  }

  get isEnding(): boolean {
    return this.#endingSince !== undefined
  }

  began(service: Service): void {
    this.#service = service
    service.drain.onClose('app', () => service.app.close())
    service.drain.onClose('service', () => service.close?.())
    // Also where it was begun from elsewhere: a node that was drained ends.
    void service.drain.over.then(() => process.exit(0))
  }

  failed(error: unknown): never {
    // What was meant for people says itself what to do; its stack would only hide that.
    const isForPeople = error instanceof ConfigError || error instanceof ProblemError
    const text = isForPeople ? error.message : stackOf(error)
    process.stderr.write(`${this.#name}: ${text}\n`)
    process.exit(1)
  }

  #signalled(): void {
    if (this.#endingSince === undefined) this.#end()
    else if (performance.now() - this.#endingSince > SIGNAL_ECHO_MS) process.exit(1)
  }

  #end(): void {
    if (this.#endingSince !== undefined) return
    this.#endingSince = performance.now()
    if (this.#service === undefined) process.exit(0)
    void this.#service.drain.begin()
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
