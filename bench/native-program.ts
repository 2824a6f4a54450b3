import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findProgram } from '@tributary/testkit'

const SOURCES = fileURLToPath(new URL('native/', import.meta.url))
const CACHE = fileURLToPath(new URL('../node_modules/.cache/tributary-bench/', import.meta.url))
const COMPILERS = ['cc', 'gcc', 'clang']
const FLAGS = ['-O2', '-Wall']

/** The programs of `native/`: what each is compiled from, and the headers that it reads. */
const PROGRAMS = {
  floor: { sources: ['floor.c'], headers: [] },
  'load-client': {
    sources: ['load-client.c', 'streams.c', 'publishers.c', 'server-figures.c'],
    headers: ['load.h', 'latencies.h', 'streams.h', 'publishers.h', 'server-figures.h'],
  },
} as const

/** Said where there is no C compiler. */
const COMPILER_MISSING =
  'The load client and the floor are written in C, and there is no C compiler here: install gcc and libc6-dev.'

export function findCompiler(): string | undefined {
  return findProgram(COMPILERS)
}

/**
 * The path of a program, compiled first where its sources have changed since.
 *
 * @throws Error that says what to install where there is no C compiler.
 */
export function nativeProgram(name: keyof typeof PROGRAMS): string {
  const compiler = findCompiler()
  if (compiler === undefined) throw new Error(COMPILER_MISSING)
  const { sources, headers } = PROGRAMS[name]
  const hash = createHash('sha256').update([compiler, ...FLAGS].join(' '))
  for (const file of [...sources, ...headers]) hash.update(readFileSync(join(SOURCES, file)))
  const program = join(CACHE, `${name}-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(program)) return program
  mkdirSync(CACHE, { recursive: true })
  // Under another name until it is whole: two benchmarks may start at the same time.
  const unfinished = `${program}.${process.pid}`
  execFileSync(compiler, [...FLAGS, '-o', unfinished, ...sources], { cwd: SOURCES, stdio: 'inherit' })
  renameSync(unfinished, program)
  return program
}
