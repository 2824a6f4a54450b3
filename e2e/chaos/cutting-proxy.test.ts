import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { CuttingProxy, type CuttingProxyOptions } from './cutting-proxy.ts'

/** A server that says everything twice, behind a proxy, and a client of it. */
async function startEcho(rewrite?: CuttingProxyOptions['rewrite']) {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => socket.write(`${bytes}${bytes}`))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = await CuttingProxy.start((server.address() as AddressInfo).port, {
    ...(rewrite && { rewrite }),
  })
  const { port } = new URL(proxy.url)
  const open = () => {
    const socket = connect(Number(port), '127.0.0.1')
    return Object.assign(socket, { broken: new Promise((resolve) => socket.once('error', resolve)) })
  }
  return {
    proxy,
    open,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]()
      server.close()
    },
  }
}

const said = async (socket: Socket) => String((await once(socket, 'data'))[0])

describe('a cutting proxy', () => {
  it('passes bytes on, both ways', async () => {
    await using echo = await startEcho()
    const socket = echo.open()
    socket.write('hi')
    expect(await said(socket)).toBe('hihi')
  })

  it('resets what is open when it cuts, and takes what comes after', async () => {
    await using echo = await startEcho()
    const socket = echo.open()
    socket.write('hi')
    await said(socket)
    expect(echo.proxy.cut()).toBe(1)
    expect(await socket.broken).toMatchObject({ code: 'ECONNRESET' })
    const next = echo.open()
    next.write('a')
    expect(await said(next)).toBe('aa')
  })

  it('lets nobody through while it refuses', async () => {
    await using echo = await startEcho()
    const over = echo.proxy.refuse(50)
    const socket = echo.open()
    expect(await socket.broken).toMatchObject({ code: 'ECONNRESET' })
    await over
    const next = echo.open()
    next.write('a')
    expect(await said(next)).toBe('aa')
  })

  it('holds bytes back while it stalls, and loses none', async () => {
    await using echo = await startEcho()
    const socket = echo.open()
    socket.write('1')
    await said(socket)
    const over = echo.proxy.stall(100)
    const late = echo.open()
    let isOver = false
    socket.write('2')
    late.write('3')
    const both = Promise.all([said(socket), said(late)]).then((texts) => ({ texts, isOver }))
    await over
    isOver = true
    expect(await both).toEqual({ texts: ['22', '33'], isOver: true })
  })

  it('passes each byte on once when two stalls overlap', async () => {
    await using echo = await startEcho()
    const socket = echo.open()
    socket.write('1')
    await said(socket)
    await Promise.all([echo.proxy.stall(20), echo.proxy.stall(60)])
    socket.write('2')
    expect(await said(socket)).toBe('22')
  })

  it('passes all on in order while it is slow, each piece after its delay', async () => {
    await using echo = await startEcho()
    const socket = echo.open()
    socket.write('1')
    await said(socket)
    const over = echo.proxy.slow(200, 40)
    const beganAtMs = performance.now()
    socket.write('2')
    expect(await said(socket)).toBe('22')
    expect(performance.now() - beganAtMs).toBeGreaterThan(60)
    await over
    socket.write('3')
    expect(await said(socket)).toBe('33')
  })

  it('changes what the target says, where it is told to', async () => {
    await using echo = await startEcho((bytes) => Buffer.from(String(bytes).toUpperCase()))
    const socket = echo.open()
    socket.write('hi')
    expect(await said(socket)).toBe('HIHI')
  })

  it('counts what goes through it', async () => {
    await using echo = await startEcho()
    const socket = echo.open()
    socket.write('hi')
    await said(socket)
    expect(echo.proxy.linkCount).toBe(1)
    socket.destroy()
    await expect.poll(() => echo.proxy.linkCount).toBe(0)
  })
})
