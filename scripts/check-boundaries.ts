import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  cruise,
  type ICruiseOptions,
  type ICruiseResult,
  type IModule,
  type IViolation,
} from 'dependency-cruiser'
import { cruiseOptions, resolveOptions } from './boundary-rules.ts'

const FOLDERS = ['packages', 'apps', 'examples', 'bench', 'e2e']
const NOT_SOURCE = ['**/node_modules/**', '**/dist/**', '**/.turbo/**']
/** An import of ours, as text: what the parser must have seen too. */
const IMPORT_OF_OURS =
  /^(?!\s*(?:\/\/|\/?\*)).*?(?:\bfrom|\bimport)\s*\(?\s*'((?:\.{1,2}\/|@tributary\/)[^']+)'/gm

export interface BoundaryReport {
  /** One line each; empty when every rule holds and everything was looked at. */
  problems: string[]
  modules: number
  /** Imports from one workspace package to another. */
  crossings: number
}

/** Checks the import rules of the workspace at `root`, and that nothing escaped the check. */
export async function checkBoundaries(
  root: string,
  options: ICruiseOptions = cruiseOptions,
): Promise<BoundaryReport> {
  const folders = FOLDERS.filter((folder) => existsSync(join(root, folder)))
  if (folders.length === 0)
    return { problems: ['nothing was checked: no source folder'], modules: 0, crossings: 0 }

  const { output } = await cruise(folders, { ...options, baseDir: root }, resolveOptions)
  if (typeof output === 'string') throw new Error('dependency-cruiser gave text instead of a result')
  const crossings = output.modules.flatMap(crossingsOf).length
  const problems = [...output.summary.violations.map(describe), ...unseen(root, folders, output)]
  if (crossings === 0) problems.push('nothing was checked: not one import between packages was seen')
  return { problems, modules: output.modules.length, crossings }
}

function describe({ rule, from, to, cycle }: IViolation): string {
  const path = cycle ? cycle.map((step) => step.name).join(' → ') : to
  const comment = cruiseOptions.ruleSet?.forbidden?.find((candidate) => candidate.name === rule.name)?.comment
  return `${rule.name}: ${from} → ${path}${comment ? ` (${comment})` : ''}`
}

/** The files, and imports in them, that are on disk but not in the result. */
function unseen(root: string, folders: string[], { modules }: ICruiseResult): string[] {
  const seen = new Map(modules.map((module) => [module.source, module]))
  const files = folders.flatMap((folder) =>
    globSync(`${folder}/**/*.{ts,tsx,mts,js,mjs}`, { cwd: root, exclude: NOT_SOURCE }),
  )
  if (files.length === 0) return ['nothing was checked: no source file']
  return files.flatMap((file) => {
    const module = seen.get(file)
    if (!module) return [`not checked: ${file}`]
    const found = new Set(module.dependencies.map((dependency) => dependency.module))
    const written = Array.from(
      readFileSync(join(root, file), 'utf8').matchAll(IMPORT_OF_OURS),
      ([, name = '']) => name,
    )
    return written.filter((name) => !found.has(name)).map((name) => `not checked: '${name}' in ${file}`)
  })
}

function crossingsOf({ source, dependencies }: IModule): string[] {
  const packageOf = (path: string) => path.split('/').slice(0, 2).join('/')
  return dependencies
    .map((dependency) => dependency.resolved)
    .filter((to) => /^(packages|apps)\//.test(to) && packageOf(to) !== packageOf(source))
}

if (import.meta.url === pathToFileURL(resolve(process.argv[1] ?? '')).href) {
  const { problems, modules, crossings } = await checkBoundaries(resolve(process.argv[2] ?? '.'))
  for (const problem of problems) console.error(problem)
  console.log(`${modules} modules, ${crossings} imports between packages: ${problems.length} problems`)
  process.exitCode = problems.length > 0 ? 1 : 0
}
