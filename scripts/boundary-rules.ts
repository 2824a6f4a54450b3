import type { ICruiseOptions, IForbiddenRuleType, IResolveOptions } from 'dependency-cruiser'

/** Who may import whom. A package not named here may import nothing of ours, so a new one needs a line. */
const MAY_IMPORT: Record<string, string[]> = {
  protocol: [],
  eventlog: ['protocol', 'redis'],
  outbound: ['protocol'],
  client: ['protocol'],
  quota: ['protocol', 'cluster', 'redis'],
  sse: ['eventlog', 'quota', 'protocol'],
  runs: ['eventlog', 'quota', 'protocol', 'redis'],
  hub: ['sse', 'eventlog', 'cluster', 'protocol', 'redis'],
  cluster: ['protocol', 'redis'],
  service: ['protocol', 'cluster', 'redis'],
  backends: ['service', 'runs', 'quota', 'eventlog', 'cluster', 'protocol', 'redis'],
  redis: ['protocol'],
  react: ['client', 'protocol'],
  testkit: ['protocol'],
}

/** Files that may use the testkit, and may pick an adapter. */
const TESTS = '(\\.test\\.tsx?$|^(packages|apps|examples)/[^/]+/(test|test-support)/|^e2e/|^bench/)'
const ADAPTERS = '^packages/.+/(memory|sqlite|redis|bullmq)/'
const anyOf = (names: string[]) => `^packages/(${names.join('|')})/`

/** A package imports itself, what its line allows, and the testkit from tests. */
const packageRules: IForbiddenRuleType[] = Object.entries(MAY_IMPORT).map(([name, allowed]) => ({
  name: `${name}-imports`,
  comment: `packages/${name} may import ${allowed.length > 0 ? allowed.join(', ') : 'nothing of ours'}`,
  from: { path: `^packages/${name}/` },
  to: { path: '^(packages|apps|bench|e2e|examples)/', pathNot: anyOf([name, 'testkit', ...allowed]) },
}))

const rules: IForbiddenRuleType[] = [
  ...packageRules,
  {
    name: 'unlisted-package',
    comment: 'a package needs its line in MAY_IMPORT before it imports another',
    from: { path: '^packages/([^/]+)/', pathNot: anyOf(Object.keys(MAY_IMPORT)) },
    to: { path: '^(packages|apps|bench|e2e|examples)/', pathNot: '^packages/$1/' },
  },
  {
    name: 'no-io',
    comment: 'protocol does no I/O, and client runs in browsers too',
    from: { path: '^packages/(protocol|client)/src/', pathNot: TESTS },
    to: { dependencyTypes: ['core'] },
  },
  {
    name: 'no-circles',
    comment: 'modules that need each other belong in one file, or need a third',
    from: {},
    to: { circular: true },
  },
  {
    name: 'testkit-in-tests-only',
    comment: 'the testkit is for tests',
    from: { pathNot: [TESTS, '^packages/testkit/'] },
    to: { path: '^packages/testkit/' },
  },
  {
    name: 'source-imports-no-tests',
    comment: 'what ships does not import tests',
    from: { path: '^(packages|apps)/', pathNot: TESTS },
    to: { path: TESTS },
  },
  {
    name: 'apps-apart',
    comment: 'apps import packages, never each other (their tests may start the other app)',
    from: { path: '^apps/([^/]+)/', pathNot: TESTS },
    to: { path: '^(apps|bench|e2e|examples)/', pathNot: '^apps/$1/' },
  },
  {
    name: 'by-name-only',
    comment: 'another package is imported by its name, never by a path into its folder',
    from: { path: '^((?:packages|apps|examples)/[^/]+|bench|e2e|scripts)/' },
    to: { path: '^(packages|apps|examples|bench|e2e)/', pathNot: '^$1/', dependencyTypes: ['local'] },
  },
  {
    name: 'relay-and-tasks-below-http',
    comment: 'http imports relay and tasks, never the reverse',
    from: { path: '^apps/[^/]+/src/(relay|tasks)/', pathNot: TESTS },
    to: { path: '^apps/[^/]+/src/(http/|app\\.ts$|main\\.ts$|deps\\.ts$|backends\\.ts$)' },
  },
  {
    name: 'adapters-in-backends-only',
    comment: "only packages/backends and an app's backends.ts pick an adapter (tests and examples excepted)",
    from: { path: '^apps/', pathNot: [TESTS, '^apps/[^/]+/src/backends\\.ts$'] },
    to: { path: ADAPTERS },
  },
  {
    name: 'adapters-by-nobody-else',
    comment: 'no package but backends picks an adapter of another (tests excepted)',
    from: { path: '^packages/([^/]+)/', pathNot: [TESTS, '^packages/backends/'] },
    to: { path: ADAPTERS, pathNot: '^packages/$1/' },
  },
  {
    name: 'redis-in-adapters-only',
    comment: 'nothing but adapters knows of Redis, and what opens its connections',
    from: {
      path: '^(apps|packages)/',
      pathNot: [
        TESTS,
        '^packages/(redis|testkit|backends)/',
        '^packages/.+/(redis|bullmq)/',
        '^apps/[^/]+/src/backends\\.ts$',
      ],
    },
    to: { path: '^packages/redis/' },
  },
  {
    name: 'resolvable',
    comment: 'an import that cannot be resolved cannot be checked',
    from: {},
    to: { couldNotResolve: true, path: '^(\\.{1,2}/|@tributary/)' },
  },
]

export const cruiseOptions: ICruiseOptions = {
  validate: true,
  ruleSet: { forbidden: rules.map((rule) => ({ severity: 'error', ...rule })) },
  // With TypeScript 6, see pnpm-workspace.yaml: beside TypeScript 7 alone, .ts files would not even be looked at.
  parser: 'tsc',
  tsPreCompilationDeps: true,
  combinedDependencies: true,
  doNotFollow: { path: 'node_modules' },
  exclude: { path: ['node_modules', '(^|/)dist/', '(^|/)\\.turbo/'] },
}

/** Resolves a workspace import to its source, as Node does with `--conditions=@tributary/source`. */
export const resolveOptions: Partial<IResolveOptions> = {
  conditionNames: ['@tributary/source', 'import', 'node', 'default'],
  exportsFields: ['exports'],
  extensions: ['.ts', '.tsx', '.mjs', '.js', '.json'],
}
