import { createApp } from './app.ts'

const app = await createApp()
console.log(`Listening at ${await app.listen({ port: 3000 })}`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void app.close())
