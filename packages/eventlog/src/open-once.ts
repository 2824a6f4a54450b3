import type { OpenOptions } from './event-log.ts'
import type { InFlight } from './in-flight.ts'
import { LogMissingError } from './log-error.ts'

/** Opens a log once for all who ask meanwhile. Who may make it does so where it is not there for one who may not. */
export async function openOnce<T>(
  opening: InFlight<T>,
  name: string,
  { mustExist }: Pick<OpenOptions, 'mustExist'>,
  open: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await opening.run(name, open)
    } catch (error) {
      if (mustExist || !(error instanceof LogMissingError)) throw error
    }
  }
}
