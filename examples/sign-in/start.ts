import { startServer } from './server.ts'

const { port, close } = await startServer(3000, { NODE_ENV: 'development' })
console.log(`Listening at http://127.0.0.1:${port}`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void close())
