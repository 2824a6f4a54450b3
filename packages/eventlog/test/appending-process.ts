/** Appends to the store in the file that it is given until it is killed, and says what was acknowledged. */
import { SqliteEventStore } from '../src/sqlite/index.ts'

const [path = ''] = process.argv.slice(2)
const store = await SqliteEventStore.open({ path })
const retention = { maxEvents: 1_000_000, maxAgeMs: 86_400_000 }
const log = await store.open('log', { retention: () => retention })
const data = 'x'.repeat(1_000)
for (;;) {
  const appended = Array.from({ length: 5 }, (_, i) =>
    log.append([{ event: { type: 'said', data, source: 'test' }, audience: { groups: [`g${i}`] } }]),
  )
  const ids = (await Promise.all(appended)).flat().map(({ event }) => event.id)
  process.stdout.write(ids.map((id) => `${id}\n`).join(''))
}
