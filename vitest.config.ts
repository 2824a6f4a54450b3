import { defaultExclude, defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'

/** How a workspace package is found as source: by Vite, and by the Node that runs what Vite leaves alone. */
const SOURCE = '@tributary/source'

function project(name: string, include: string[], test: TestProjectInlineConfiguration['test'] = {}) {
  return {
    resolve: { conditions: [SOURCE] },
    ssr: { resolve: { conditions: [SOURCE], externalConditions: [SOURCE] } },
    test: {
      name,
      include,
      exclude: [...defaultExclude, '**/dist/**'],
      environment: 'node',
      pool: 'forks',
      execArgv: [`--conditions=${SOURCE}`],
      // Only for who asks for it: a service that a test starts must not become one of a cluster by it.
      env: { REDIS_URL: '', TEST_REDIS_URL: process.env.REDIS_URL ?? '' },
      setupFiles: ['packages/testkit/src/true-answers.ts'],
      ...test,
    },
  } satisfies TestProjectInlineConfiguration
}

export default defineConfig({
  test: {
    passWithNoTests: false,
    projects: [
      // Some start threads, which takes its time where the machine is busy.
      project('unit', ['{packages,apps}/*/src/**/*.test.{ts,tsx}', 'scripts/**/*.test.ts'], {
        testTimeout: 15_000,
      }),
      project('integration', ['{packages,apps}/*/test/**/*.test.{ts,tsx}', 'examples/**/*.test.{ts,tsx}'], {
        testTimeout: 15_000,
        sequence: { groupOrder: 1 },
      }),
      // These start whole processes and a browser: one file at a time, after the others.
      project('e2e', ['e2e/**/*.test.ts', 'bench/*.test.ts'], {
        fileParallelism: false,
        testTimeout: 60_000,
        hookTimeout: 60_000,
        sequence: { groupOrder: 2 },
      }),
    ],
  },
})
