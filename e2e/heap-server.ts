/** Loaded into a service before it starts: answers what it holds after a forced collection, at `HEAP_PORT`. */
import { createServer } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isMainThread } from 'node:worker_threads'

/** What the first collection finalises is gone with the next. */
const COLLECTIONS = 3

if (isMainThread) {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const server = createServer(async (_request, response) => {
    for (let turn = 0; turn < COLLECTIONS; turn++) {
      collect()
      await new Promise(setImmediate)
    }
    const { heapUsed, external } = process.memoryUsage()
    response.end(JSON.stringify(heapUsed + external))
  })
  server.listen(Number(process.env.HEAP_PORT), '127.0.0.1')
  server.unref()
}
