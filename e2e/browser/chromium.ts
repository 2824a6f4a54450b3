import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram, isExecutable } from '@tributary/testkit'
import { type BrowserContext, chromium } from 'playwright-core'

/** What a Chromium is called where it is installed. */
const NAMES = [
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  'chrome',
  'microsoft-edge',
]
/** Where it is when it is not on the PATH. */
const USUAL_PATHS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]
/** Nothing that reaches beyond this machine, and nothing that asks. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export type ChromiumSearch =
  | { readonly executable: string; readonly reason?: never }
  | { readonly executable?: never; readonly reason: string }

/** The Chromium of this machine: what `CHROMIUM` names, or else one under its usual names; the reason where there is none. */
export function findChromium(): ChromiumSearch {
  const named = process.env.CHROMIUM
  if (named !== undefined && named !== '') {
    return isExecutable(named)
      ? { executable: named }
      : { reason: `CHROMIUM names ${named}, which is no program` }
  }
  const executable = findProgram(NAMES, USUAL_PATHS)
  return executable === undefined
    ? { reason: 'no Chromium was found; install one, or name it by CHROMIUM' }
    : { executable }
}

/** A headless Chromium with an empty profile of its own, which goes with it. */
export class Chromium implements AsyncDisposable {
  readonly context: BrowserContext
  readonly #profile: string

  private constructor(context: BrowserContext, profile: string) {
    this.context = context
    this.#profile = profile
  }

  static async launch(executablePath: string): Promise<Chromium> {
    const profile = await mkdtemp(join(tmpdir(), 'tributary-chromium-'))
    try {
      const context = await chromium.launchPersistentContext(profile, {
        executablePath,
        args: ARGUMENTS,
        headless: true,
        viewport: { width: 1280, height: 900 },
      })
      return new Chromium(context, profile)
    } catch (error) {
      await rm(profile, { recursive: true, force: true })
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.context.close()
    await rm(this.#profile, { recursive: true, force: true })
  }
}
