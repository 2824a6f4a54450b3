import { expect } from 'vitest'

/** What ends a line: to a terminal, a shipper of logs, or Node's readline. */
const LINE_END = /[\r\n\u0085\u2028\u2029]/u
const SIGNED_TOKEN = /eyJ[\w-]+\.[\w-]*\.[\w-]{20,}/

/** The log of the services under attack. */
export class LogLines {
  readonly lines: string[] = []
  #checked = 0

  write(line: string): void {
    this.lines.push(line)
  }

  /** Holds of what was written since the last time that each is one line of JSON, without a token. */
  check(): void {
    const written = this.lines.slice(this.#checked)
    this.#checked = this.lines.length
    for (const line of written) {
      expect(line.endsWith('\n'), line).toBe(true)
      expect(line.slice(0, -1), 'a split line').not.toMatch(LINE_END)
      expect(JSON.parse(line)).toHaveProperty('msg')
      expect(line).not.toMatch(SIGNED_TOKEN)
    }
  }
}
