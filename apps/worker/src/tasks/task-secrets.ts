import { readFile } from 'node:fs/promises'
import { HostList, OutboundError } from '@tributary/outbound'
import { SECRET_NAME } from '@tributary/protocol'
import Type from 'typebox'
import { Compile } from 'typebox/compile'

/** The longest secret, in characters: a certificate with its key fits. */
const MAX_SECRET_CHARS = 16_384

/** What TASK_SECRETS_FILE holds: each secret under its name, with the hosts that it is meant for. */
const SecretsFile = Type.Record(
  Type.String({ pattern: SECRET_NAME }),
  Type.Object(
    {
      value: Type.String({ minLength: 1, maxLength: MAX_SECRET_CHARS }),
      hosts: Type.Array(Type.String({ minLength: 1 }), { minItems: 1 }),
    },
    { additionalProperties: false },
  ),
  { additionalProperties: false },
)
const secretsFile = Compile(SecretsFile)

interface TaskSecret {
  readonly value: string
  readonly hosts: HostList
}

/** Whether it is not known or not meant for the host is not said: who asks could find out what is configured. */
export function secretRefused(name: string): OutboundError {
  const message = `The secret ${JSON.stringify(name)} is not known here, or not meant for this address`
  return new OutboundError('secret_refused', message)
}

/** The secrets that tasks may name, each for the hosts that it is meant for. */
export class TaskSecrets {
  readonly #secrets: ReadonlyMap<string, TaskSecret>

  private constructor(secrets: ReadonlyMap<string, TaskSecret>) {
    this.#secrets = secrets
  }

  /**
   * Reads a file of secrets, once. Without one there are none.
   *
   * @throws TypeError that says what is wrong with it, and no value.
   */
  static async load(path: string | undefined): Promise<TaskSecrets> {
    return path === undefined ? new TaskSecrets(new Map()) : TaskSecrets.parse(await readFile(path, 'utf8'))
  }

  /** @throws TypeError as `load` */
  static parse(text: string): TaskSecrets {
    const file = parseJson(text)
    if (!secretsFile.Check(file)) throw new TypeError(faultOf(file))
    const secrets = Object.entries(file).map(
      ([name, { value, hosts }]) => [name, { value, hosts: new HostList(hosts) }] as const,
    )
    return new TaskSecrets(new Map(secrets))
  }

  /** @throws OutboundError `secret_refused` where the secret is not known, or not meant for this address. */
  valueFor(name: string, url: URL): string {
    const secret = this.#secrets.get(name)
    if (secret === undefined || !secret.hosts.has(url)) throw secretRefused(name)
    return secret.value
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own words quote the text around the fault.
    throw new TypeError('the file is not JSON')
  }
}

function faultOf(file: unknown): string {
  const fault = [...secretsFile.Errors(file)].at(0)
  const where = fault?.instancePath.slice(1)
  const expected = 'expected {"NAME": {"value": "…", "hosts": ["api.example.com"]}}'
  return where ? `${expected}, which "${where}" is not` : expected
}
