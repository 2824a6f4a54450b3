import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { SECRET } from './tributary.ts'

/** As many as streams are opened at most. */
const TOKENS = 20_000

/** A file with a word a line, which is there until it is disposed of. */
export interface Words extends AsyncDisposable {
  readonly file: string
}

/** A token for each stream, of a user of its own. */
export async function signedTokens(): Promise<Words> {
  const key = new TextEncoder().encode(SECRET)
  const tokens = await Promise.all(
    Array.from({ length: TOKENS }, (_, stream) =>
      new SignJWT({ sub: `u${stream}` })
        .setProtectedHeader({ alg: 'HS256' })
        .setExpirationTime('2h')
        .sign(key),
    ),
  )
  const folder = await mkdtemp(join(tmpdir(), 'tributary-tokens-'))
  const file = join(folder, 'tokens')
  await writeFile(file, `${tokens.join('\n')}\n`)
  return { file, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}
