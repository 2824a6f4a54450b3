import type { Cluster } from '@tributary/cluster'
import type { Clock, WorkerInfo } from '@tributary/protocol'
import type { HandlerRunner, RunRegistry } from '@tributary/runs'
import type { Drain, ServiceMetrics } from '@tributary/service'
import type { TaskScheduler } from './tasks/task-scheduler.ts'

/** How often the load is told anew, in ms. It goes with the next heartbeat. */
const LOAD_INTERVAL_MS = 1_000

/** Names beyond so many characters are not told; then any worker is asked for any handler. */
const MAX_HANDLER_CHARS = 8_192

export interface WorkerAnnouncementOptions {
  readonly cluster: Pick<Cluster, 'announce'>
  readonly handlers: Pick<HandlerRunner, 'names'>
  /** Whether it runs a sample under a name that nobody registered. */
  readonly simulates: boolean
  readonly scheduler: Pick<TaskScheduler, 'activeCount' | 'waitingCount'>
  readonly runs: Pick<RunRegistry, 'runningCount'>
  readonly eventLoop: ServiceMetrics['eventLoop']
  readonly drain: Pick<Drain, 'state'>
  readonly clock: Clock
}

/** Tells the gateways what this worker can do, and how busy it is. */
export class WorkerAnnouncement implements Disposable {
  readonly #options: WorkerAnnouncementOptions
  readonly #stop: () => void

  constructor(options: WorkerAnnouncementOptions) {
    this.#options = options
    this.tell()
    this.#stop = options.clock.every(LOAD_INTERVAL_MS, () => this.tell())
  }

  /** Tells it as it is now. */
  tell(): void {
    const { cluster } = this.#options
    cluster.announce({ ...this.#info() })
  }

  [Symbol.dispose](): void {
    this.#stop()
  }

  #info(): WorkerInfo {
    const { handlers, simulates, scheduler, runs, eventLoop, drain } = this.#options
    const names = handlers.names()
    return {
      load: {
        activeTasks: scheduler.activeCount,
        waitingTasks: scheduler.waitingCount,
        runs: runs.runningCount,
        loopDelayMs: eventLoop.read().p99Ms,
      },
      ...(JSON.stringify(names).length > MAX_HANDLER_CHARS ? {} : { handlers: names }),
      simulates,
      draining: drain.state !== 'serving',
    }
  }
}
