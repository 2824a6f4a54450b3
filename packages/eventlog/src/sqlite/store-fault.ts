import { StoreUnavailableError } from '../log-error.ts'
import { DamagedRowError } from './row.ts'

/** https://www.sqlite.org/rescode.html, the primary codes. */
const SQLITE_BUSY = 5
const SQLITE_NOMEM = 7
const SQLITE_READONLY = 8
const SQLITE_IOERR = 10
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_CANTOPEN = 14
const SQLITE_NOTADB = 26

/** The primary result code of an error of the engine; `undefined` where it is none. */
function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined
}

export function isLocked(error: unknown): boolean {
  return sqliteCode(error) === SQLITE_BUSY
}

export function isNoDatabase(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === SQLITE_NOTADB || code === SQLITE_CORRUPT
}

/** Whether what is in the file is not what was written to it. */
export function isDamage(error: unknown): boolean {
  return isNoDatabase(error) || error instanceof DamagedRowError
}

export function isDiskFailure(error: unknown): boolean {
  return sqliteCode(error) === SQLITE_IOERR
}

/** What the engine's error means for people: what is wrong, and what to do. */
export function faultReason(error: unknown, path: string): string {
  if (error instanceof StoreUnavailableError) return error.reason
  if (isDamage(error)) {
    return `${path} is damaged; stop the service, move the file away or bring back a copy, and start again`
  }
  switch (sqliteCode(error)) {
    case SQLITE_FULL:
      return `the disk of ${path} is full; free space on it`
    case SQLITE_IOERR:
      return `the disk of ${path} cannot be read or written; see that it is sound and has space`
    case SQLITE_READONLY:
      return `${path} cannot be written; see to its permissions, and that its disk is not mounted read-only`
    case SQLITE_CANTOPEN:
      return `${path} or a file beside it cannot be opened; see to the permissions of its folder`
    case SQLITE_NOMEM:
      return 'memory has run out; give the service more'
    default:
      return `${path}: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** What a call is answered when the engine or the file failed it; an error that is not the engine's stays what it is. */
export function unavailable(error: unknown, path: string): Error {
  if (sqliteCode(error) === undefined && error instanceof Error && !isDamage(error)) return error
  return new StoreUnavailableError(faultReason(error, path), error)
}
