import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { lastingPort } from './lasting-port.ts'

const MODULE = new URL('./lasting-port.ts', import.meta.url)

/** From one place in the range on. */
const from = (first: number) => {
  let next = first
  return () => {
    next += 1 / 10_001
    return next
  }
}

test('a port is given out once, to all processes, for as long as the one that has it lives', async () => {
  const first = Math.random() / 2
  const [one, other] = [await lastingPort(from(first)), await lastingPort(from(first))]
  expect(other).toBeGreaterThan(one)
  const ask = `
    const { lastingPort } = await import(${JSON.stringify(MODULE)})
    let next = ${first}
    process.stdout.write(String(await lastingPort(() => { next += 1 / 10_001; return next })))`
  const run = promisify(execFile)
  const elsewhere = async () =>
    Number((await run(process.execPath, ['--input-type=module', '--eval', ask])).stdout)
  const third = await elsewhere()
  expect(third).toBeGreaterThan(other)
  // It has ended.
  expect(await elsewhere()).toBe(third)
})
