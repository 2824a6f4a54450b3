import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DepsOptions } from '../src/deps.ts'
import { startWorker } from './running-worker.ts'

/** A folder in which one worker after the other finds what the last one left. */
export async function openFolder() {
  const dataDir = await mkdtemp(join(tmpdir(), 'tributary-worker-'))
  return {
    start: (env: Readonly<Record<string, string>> = {}, options: DepsOptions = {}) =>
      startWorker({ STORE: 'sqlite', DATA_DIR: dataDir, ...env }, options),
    [Symbol.asyncDispose]: () => rm(dataDir, { recursive: true, force: true }),
  }
}
