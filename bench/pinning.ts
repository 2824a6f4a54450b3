import { readFileSync } from 'node:fs'
import { findProgram } from '@tributary/testkit'

/** Who gets a core of its own. */
export type Role = 'server' | 'client'

const ORDER: readonly Role[] = ['server', 'client']

/**
 * The command line that keeps a program on the core of its role, where `taskset` and two cores are there; as it is
 * where not. All threads of the program stay there: what one core can do is what is measured.
 */
export function pinned(role: Role | undefined, command: readonly string[]): readonly string[] {
  const taskset = findProgram(['taskset'])
  const core = role && ownCores()?.[ORDER.indexOf(role)]
  return taskset === undefined || core === undefined ? command : [taskset, '-c', String(core), ...command]
}

/** For the report: where server and client ran. */
export function describePinning(): string {
  return findProgram(['taskset']) === undefined || ownCores() === undefined
    ? 'server and client NOT on cores of their own (taskset and two cores are needed)'
    : 'server and client on a core each'
}

/** Two cores that this process may use. */
function ownCores(): readonly number[] | undefined {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(processStatus())?.[1] ?? ''
  const cores = list.split(',').flatMap((range) => {
    const [from = Number.NaN, to = from] = range.split('-').map(Number)
    return Array.from({ length: to - from + 1 || 0 }, (_, i) => from + i)
  })
  return cores.length < ORDER.length ? undefined : cores.slice(0, ORDER.length)
}

function processStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'utf8')
  } catch {
    // Not a Linux.
    return ''
  }
}
