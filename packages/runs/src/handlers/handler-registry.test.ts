import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { defineTask } from './define-task.ts'
import { HandlerLoadError } from './handler-error.ts'
import { HandlerRegistry } from './handler-registry.ts'

const DEFINE = `import { defineTask } from ${JSON.stringify(import.meta.resolve('./define-task.ts'))}\n`

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'handlers-'))
})
afterEach(() => rm(folder, { recursive: true }))

const write = (name: string, text: string) => writeFile(join(folder, name), DEFINE + text)
const task = (name: string) => `defineTask({ name: ${JSON.stringify(name)}, run: () => null })`

describe('HandlerRegistry', () => {
  it('loads default and named exports of .ts and .js files, and nothing else', async () => {
    await write('b.ts', `export default ${task('B')}\nexport const limit: number = 3`)
    await write('a.js', `export const one = ${task('A 1')}\nexport const two = ${task('A 2')}`)
    await write('both.ts', `const both = ${task('Both')}\nexport { both }\nexport default both`)
    await writeFile(join(folder, 'b.test.ts'), 'throw new Error("a test is no handler")')
    await writeFile(join(folder, 'types.d.ts'), 'export {}')
    await writeFile(join(folder, 'notes.md'), '# Notes')
    await mkdir(join(folder, 'lib'))
    await writeFile(join(folder, 'lib', 'part.ts'), 'export const part = 1')
    const registry = await HandlerRegistry.load([folder])
    expect(registry.names()).toEqual(['A 1', 'A 2', 'B', 'Both'])
    expect(registry.get('A 2')?.module?.exportName).toBe('two')
    expect(registry.get('A 3')).toBeUndefined()
  })

  it('refuses a second task of a name, naming both files', async () => {
    await write('a.ts', `export default ${task('Same')}`)
    await write('b.ts', `export default ${task('Same')}`)
    const loading = HandlerRegistry.load([folder])
    await expect(loading).rejects.toThrow(HandlerLoadError)
    await expect(loading).rejects.toThrow(/b\.ts defines the task "Same", but so does .*a\.ts/)
  })

  it('refuses a file without a task', async () => {
    await write('empty.ts', 'export const answer = 42')
    await expect(HandlerRegistry.load([folder])).rejects.toThrow(/empty\.ts exports no task/)
  })

  it('names the file that does not load, and why', async () => {
    await write('broken.js', 'throw new Error("no luck")')
    await expect(HandlerRegistry.load([folder])).rejects.toThrow(/broken\.js cannot be loaded: no luck/)
  })

  it('names the folder that is not there', async () => {
    await expect(HandlerRegistry.load([join(folder, 'none')])).rejects.toThrow(/none cannot be read/)
  })

  it('refuses a cpuBound task that no thread could load', () => {
    const cpuBound = defineTask({ name: 'Burn', cpuBound: true, run: () => null })
    expect(() => new HandlerRegistry([{ task: cpuBound }])).toThrow('must come from a file')
  })
})
