import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isTask, type TaskDefinition } from './define-task.ts'
import { HandlerLoadError } from './handler-error.ts'
import type { HandlerModule } from './thread-message.ts'

/** A task and where it came from. One without a module is known to this thread alone. */
export interface Handler {
  readonly task: TaskDefinition
  readonly module?: HandlerModule
}

const MODULE_FILE = /(?<!\.d|\.test)\.[jt]s$/

/** The tasks that requests can call by name. */
export class HandlerRegistry {
  readonly #handlers = new Map<string, Handler>()

  /** @throws HandlerLoadError where two have one name, or one is `cpuBound` and no thread could load it. */
  constructor(handlers: Iterable<Handler> = []) {
    for (const handler of handlers) this.#add(handler)
  }

  /**
   * Loads every `*.ts` and `*.js` of these folders, not of folders in them, in the order of their names.
   *
   * @throws HandlerLoadError naming the file that does not load, exports no task, or has another's name.
   */
  static async load(folders: Iterable<string>): Promise<HandlerRegistry> {
    const registry = new HandlerRegistry()
    for (const folder of folders) {
      for (const file of await moduleFiles(resolve(folder))) {
        for (const handler of await loadModule(file)) registry.#add(handler)
      }
    }
    return registry
  }

  get(name: string): Handler | undefined {
    return this.#handlers.get(name)
  }

  /** In the order they were loaded. */
  names(): string[] {
    return [...this.#handlers.keys()]
  }

  #add(handler: Handler): void {
    const { name, cpuBound } = handler.task
    const other = this.#handlers.get(name)
    if (other !== undefined) {
      throw new HandlerLoadError(
        `${origin(handler)} defines the task ${JSON.stringify(name)}, but so does ${origin(other)}`,
      )
    }
    if (cpuBound && handler.module === undefined) {
      throw new HandlerLoadError(`${JSON.stringify(name)} is cpuBound, so it must come from a file`)
    }
    this.#handlers.set(name, handler)
  }
}

function origin({ module }: Handler): string {
  return module === undefined ? 'The program' : module.url
}

async function moduleFiles(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    const files = entries.filter((entry) => !entry.isDirectory() && MODULE_FILE.test(entry.name))
    return files.map(({ name }) => join(folder, name)).sort()
  } catch (cause) {
    throw new HandlerLoadError(`The handler folder ${folder} cannot be read`, { cause })
  }
}

async function loadModule(file: string): Promise<Handler[]> {
  const url = pathToFileURL(file).href
  const handlers: Handler[] = []
  const seen = new Set<TaskDefinition>()
  for (const [exportName, task] of Object.entries(await importModule(file, url))) {
    if (!isTask(task) || seen.has(task)) continue
    seen.add(task)
    handlers.push({ task, module: { url, exportName } })
  }
  if (handlers.length === 0) {
    throw new HandlerLoadError(`${file} exports no task: export what defineTask returns`)
  }
  return handlers
}

async function importModule(file: string, url: string): Promise<Record<string, unknown>> {
  try {
    return await import(/* @vite-ignore */ url)
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new HandlerLoadError(`${file} cannot be loaded: ${detail}`, { cause })
  }
}
