import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { EventCollector } from '@tributary/testkit'

type Headers = Readonly<Record<string, string>>

/** All that a session leaves behind: what was answered, what was logged, what is stored. */
export class LeftBehind {
  readonly #texts: { readonly place: string; readonly text: string }[] = []

  note(place: string, text: string): void {
    this.#texts.push({ place, text })
  }

  /** Notes each file below a folder, byte for byte. */
  noteFiles(folder: string): void {
    for (const name of globSync('**/*', { cwd: folder, withFileTypes: true })) {
      if (name.isFile()) this.note(name.name, readFileSync(join(name.parentPath, name.name), 'latin1'))
    }
  }

  /** Asks for something, and notes the answer, its headers included. */
  async ask(url: string, { body, ...init }: { method?: string; headers?: Headers; body?: unknown } = {}) {
    const answer = await fetch(url, {
      method: body === undefined ? 'GET' : 'POST',
      ...init,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...init.headers },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await answer.text()
    const place = `${answer.status} of ${new URL(url).pathname}`
    this.note(place, `${JSON.stringify([...answer.headers])}\n${text}`)
    return { status: answer.status, headers: answer.headers, text }
  }

  /** Reads a stream until an event comes, and notes all of it. */
  async read(url: string, until: string, init: { headers?: Headers; body?: unknown } = {}) {
    await using reader = await EventCollector.open(url, init)
    await reader.waitFor(until, 30_000)
    this.note(`stream of ${new URL(url).pathname}`, `${JSON.stringify(reader.headers)}\n${reader.text}`)
    return reader.events
  }

  /** Notes what a service prints of its configuration. */
  async notePrintedConfig(name: 'gateway' | 'worker', env: Headers): Promise<void> {
    const main = fileURLToPath(new URL(`../apps/${name}/src/main.ts`, import.meta.url))
    const args = ['--conditions=@tributary/source', main, '--print-config']
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env: { ...env } })
    this.note(`--print-config of the ${name}`, stdout + stderr)
  }

  /** Where a text stands, as it is or as base64 would have it. */
  placesOf(mark: string): string[] {
    // What comes before it shifts base64 by up to two bytes; the letters at both ends depend on its neighbours.
    const encoded = [0, 1, 2].map((shift) =>
      Buffer.from(' '.repeat(shift) + mark)
        .toString('base64')
        .slice(4, -4),
    )
    return this.#texts
      .filter(({ text }) => text.includes(mark) || encoded.some((form) => text.includes(form)))
      .map(({ place }) => place)
  }
}
