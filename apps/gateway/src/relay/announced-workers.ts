import { type Clock, WorkerInfo } from '@tributary/protocol'
import { Compile } from 'typebox/compile'
import { type AnnouncedAddress, ProvenAddresses } from './proven-addresses.ts'
import type { Worker } from './worker.ts'
import { checkWorker } from './worker-checks.ts'
import type { WorkerPool } from './worker-pool.ts'

const workerInfo = Compile(WorkerInfo)

/** How often it is looked who is there, in ms. */
const REFRESH_MS = 1_000

/** A worker as the cluster knows it. */
export interface WorkerNode {
  /** Of its process. */
  readonly nodeId: string
  /** Not there until it listens. */
  readonly url?: string
  readonly info: unknown
}

export interface AnnouncedWorkersOptions {
  /** Those whose lease runs. May fail: then those stay that were there. */
  readonly nodes: () => Promise<readonly WorkerNode[]>
  readonly pool: WorkerPool
  /** Makes a worker of an address; the second of the answer is called when it is used no more. */
  readonly connect: (url: string) => readonly [worker: Worker, release: () => void]
  readonly clock: Clock
  /** Told once of each address that a worker announces, and at which something else answers. Default: nobody. */
  readonly onStranger?: (url: string) => void
}

interface Announced {
  readonly worker: Worker
  readonly release: () => void
}

/**
 * Keeps the pool to the workers that there are: those that announce themselves, and those of the configuration that
 * answer. One that is there under both names is used under the announced one.
 *
 * Where all have gone at once, they stay in the pool as they were: that is what a Redis looks like that has lost its
 * data, and one that is really away is passed over anyway.
 */
export class AnnouncedWorkers implements Disposable {
  readonly #options: AnnouncedWorkersOptions
  /** By address, without those of the configuration. */
  readonly #announced = new Map<string, Announced>()
  /** Those of the configuration that have announced themselves at some time under the same address. */
  readonly #seen = new Set<Worker>()
  /** The process behind the other names of the configuration. */
  readonly #aliases = new Map<Worker, string>()
  /** Those of the configuration that did not answer. */
  readonly #silent = new Set<Worker>()
  readonly #addresses: ProvenAddresses
  #cancel: (() => void) | undefined
  #refreshing: Promise<void> | undefined

  constructor(options: AnnouncedWorkersOptions) {
    this.#options = options
    this.#addresses = new ProvenAddresses(options.onStranger ?? (() => undefined))
  }

  /** Looks for the first time, and from then on again and again. */
  async begin(): Promise<void> {
    this.#cancel ??= this.#options.clock.every(REFRESH_MS, () => void this.refresh())
    await this.refresh()
  }

  /** Looks who is there now. Who asks meanwhile waits for the same answer. Never rejects. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh()
      // Redis is away: who was there a moment ago most likely is.
      .catch(() => undefined)
      .finally(() => {
        this.#refreshing = undefined
      })
    return this.#refreshing
  }

  [Symbol.dispose](): void {
    this.#cancel?.()
    for (const { release } of this.#announced.values()) release()
    this.#announced.clear()
  }

  async #refresh(): Promise<void> {
    const nodes = (await this.#options.nodes()).flatMap(readNode)
    if (nodes.length === 0) return
    const { pool } = this.#options
    const { listed } = pool
    const workers = new Set<Worker>()
    const announced: AnnouncedAddress[] = []
    for (const { nodeId, url, info } of nodes) {
      const own = listed.find((worker) => worker.url === url)
      if (own !== undefined) this.#seen.add(own)
      const worker = own ?? this.#workerAt(url)
      worker.note(info)
      workers.add(worker)
      if (own === undefined) announced.push({ nodeId, worker })
    }
    this.#forget(workers)
    const living = new Set(nodes.map(({ nodeId }) => nodeId))
    const proven = await this.#addresses.of(announced, living)
    const others = listed.filter((worker) => !workers.has(worker) && !this.#seen.has(worker))
    await Promise.all(others.map((worker) => this.#identify(worker, living)))
    const isAlias = (worker: Worker) => living.has(this.#aliases.get(worker) ?? '')
    const unknown = others.filter((worker) => !isAlias(worker) && !this.#silent.has(worker))
    const inOrder = [...new Set(proven.map(({ worker }) => worker))].sort((a, b) => (a.url < b.url ? -1 : 1))
    pool.set([...listed.filter((worker) => workers.has(worker)), ...unknown, ...inOrder])
  }

  #workerAt(url: string): Worker {
    let announced = this.#announced.get(url)
    if (announced === undefined) {
      const [worker, release] = this.#options.connect(url)
      announced = { worker, release }
      this.#announced.set(url, announced)
    }
    return announced.worker
  }

  /** Lets go of those that are not there any more. */
  #forget(workers: ReadonlySet<Worker>): void {
    for (const [url, { worker, release }] of this.#announced) {
      if (workers.has(worker)) continue
      this.#announced.delete(url)
      worker.note(undefined)
      release()
    }
    for (const worker of this.#seen) if (!workers.has(worker)) worker.note(undefined)
  }

  /** Asks a worker of the configuration which process it is, where that is not known. */
  async #identify(worker: Worker, living: ReadonlySet<string>): Promise<void> {
    if (worker.avoided || living.has(this.#aliases.get(worker) ?? '')) return
    const { nodeId, state } = await checkWorker(worker)
    if (state === 'down') this.#silent.add(worker)
    else this.#silent.delete(worker)
    if (nodeId === undefined) this.#aliases.delete(worker)
    else this.#aliases.set(worker, nodeId)
  }
}

/** What a node says of itself is from outside: one that is no worker as we know them is passed over. */
function readNode({ nodeId, url, info }: WorkerNode): { nodeId: string; url: string; info: WorkerInfo }[] {
  if (url === undefined) return []
  const parsed = URL.parse(url)
  if (parsed === null || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')) return []
  if (parsed.username !== '' || parsed.password !== '') return []
  return workerInfo.Check(info) ? [{ nodeId, url: url.replace(/\/$/, ''), info }] : []
}
