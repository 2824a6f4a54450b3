import { type Env, readConfig, SECRET_VARIABLES, serviceConfig, withEnvFile } from '@tributary/service'
import Type, { type Static } from 'typebox'

/** The variables that the worker reads. */
export const WorkerConfigSchema = Type.Object({
  ...serviceConfig,
  WORKER_PORT: Type.Integer({
    minimum: 0,
    maximum: 65_535,
    default: 8_080,
    description: 'The port to listen on.',
  }),
  RUNS_CONCURRENCY: Type.Integer({
    minimum: 1,
    default: 64,
    description:
      'In a cluster: runs at a time that this worker takes; others wait, for whichever worker has room.',
  }),
  TASK_CONCURRENCY_PER_ORIGIN: Type.Integer({
    minimum: 1,
    default: 64,
    description: 'Tasks at a time against one origin, over all runs.',
  }),
  TASK_CONCURRENCY_TOTAL: Type.Integer({
    minimum: 1,
    default: 256,
    description: 'Tasks at a time in this process.',
  }),
  TASK_SECRETS_FILE: Type.Optional(
    Type.String({ minLength: 1, description: 'A file with what tasks may name by `$secret`.' }),
  ),
  TASK_MAX_BODY_BYTES: Type.Integer({
    minimum: 1_024,
    default: 10_485_760,
    description: 'Bytes that are read of an answer. JSON beyond it fails; other bodies are cut.',
  }),
})

export type WorkerConfig = Readonly<Static<typeof WorkerConfigSchema>>

/** Reads the worker's configuration from the environment and `.env`. @throws ConfigError that names each fault. */
export function readWorkerConfig(env: Env = withEnvFile(process.env, process.cwd())): WorkerConfig {
  return readConfig(WorkerConfigSchema, env, { secretNames: SECRET_VARIABLES })
}
