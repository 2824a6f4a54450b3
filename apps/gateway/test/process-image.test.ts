import { crc32, deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { dominantColours } from '../handlers/image/dominant-colours.ts'
import { openHandlers, serve } from './handler-bench.ts'

/** An image of vertical bars, each so many pixels wide. */
function bars(height: number, ...widths: [number, red: number, green: number, blue: number][]) {
  const width = widths.reduce((sum, [pixels]) => sum + pixels, 0)
  const row = widths.flatMap(([pixels, ...colour]) => Array.from({ length: pixels }, () => colour).flat())
  const data = Buffer.from(Array.from({ length: height }, () => row).flat())
  return sharp(data, { raw: { width, height, channels: 3 } })
}

/** A PNG that says it is enormous. */
function enormousPng(): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(30_000, 0)
  header.writeUInt32BE(30_000, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const chunk = (type: string, data: Buffer) => {
    const named = Buffer.concat([Buffer.from(type), data])
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
    length.writeUInt32BE(data.byteLength)
    sum.writeUInt32BE(crc32(named))
    return Buffer.concat([length, named, sum])
  }
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  const pixels = deflateSync(Buffer.alloc(100))
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', pixels),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

describe('Process Image', () => {
  it('makes a thumbnail of the sample and finds its colours, telling each step', async () => {
    await using handlers = await openHandlers()
    const { result, steps } = await handlers.run('Process Image')
    expect(result).toMatchObject({
      source: 'sample',
      original: { width: 960, height: 640, format: 'jpeg' },
      thumbnail: { width: 240, height: 160, format: 'webp', data: expect.any(String) },
    })
    const { thumbnail, colours } = result as {
      thumbnail: { data: string }
      colours: { hex: string; share: number }[]
    }
    const made = await sharp(Buffer.from(thumbnail.data, 'base64')).metadata()
    expect(made).toMatchObject({ format: 'webp', width: 240, height: 160 })
    expect(colours).toHaveLength(5)
    for (const { hex } of colours) expect(hex).toMatch(/^#[0-9a-f]{6}$/)
    expect(colours.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 3)
    expect(steps.map(({ step, progress }) => [step, progress])).toEqual([
      [1, 25],
      [2, 50],
      [3, 75],
      [4, 100],
    ])
  })

  it('processes an image that it is given the URL of', async () => {
    const image = await bars(60, [60, 200, 30, 30], [30, 20, 20, 120]).png().toBuffer()
    await using server = await serve({ '/bars.png': { type: 'image/png', body: image } })
    await using handlers = await openHandlers()
    const { result } = await handlers.run('Process Image', { url: `${server.url}/bars.png`, width: 45 })
    expect(result).toMatchObject({
      source: `${server.url}/bars.png`,
      original: { width: 90, height: 60, format: 'png', bytes: image.byteLength },
      thumbnail: { width: 45, height: 30 },
      colours: [
        { hex: '#c81e1e', share: 0.6667 },
        { hex: '#141478', share: 0.3333 },
      ],
    })
  })

  it('turns an image upright', async () => {
    const image = await bars(10, [40, 9, 9, 9]).withMetadata({ orientation: 6 }).jpeg().toBuffer()
    await using server = await serve({ '/phone.jpg': { type: 'image/jpeg', body: image } })
    await using handlers = await openHandlers()
    const { result } = await handlers.run('Process Image', { url: `${server.url}/phone.jpg` })
    expect(result).toMatchObject({
      original: { width: 10, height: 40 },
      thumbnail: { width: 10, height: 40 },
    })
  })

  it.each([
    ['/page.html', 'is not a JPEG, PNG, WebP, AVIF, GIF or TIFF image', 'task_failed'],
    ['/drawing.svg', 'is not a JPEG, PNG, WebP, AVIF, GIF or TIFF image', 'task_failed'],
    ['/empty', 'answered with nothing', 'task_failed'],
    ['/cut.jpg', 'cannot be decoded', 'task_failed'],
    ['/enormous.png', 'has more than 40000000 pixels', 'body_too_large'],
    ['/none', 'answered 404', 'http_4xx'],
  ])('says what is wrong with %s', async (path, message, code) => {
    const jpeg = await bars(200, [200, 1, 2, 3], [200, 250, 240, 230]).jpeg().toBuffer()
    await using server = await serve({
      '/page.html': { type: 'text/html', body: '<!doctype html><title>Log in</title><p>Log in first' },
      '/drawing.svg': {
        type: 'image/svg+xml',
        body: '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
      },
      '/empty': { type: 'image/png', body: '' },
      '/cut.jpg': { type: 'image/jpeg', body: jpeg.subarray(0, jpeg.byteLength - 400) },
      '/enormous.png': { type: 'image/png', body: enormousPng() },
    })
    await using handlers = await openHandlers()
    const url = `${server.url}${path}`
    const failure = handlers.run('Process Image', { url })
    await expect(failure).rejects.toThrow(url)
    await expect(failure).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
  })

  it('refuses a width that is no thumbnail’s', async () => {
    await using handlers = await openHandlers()
    const failure = handlers.run('Process Image', { width: 5000 })
    await expect(failure).rejects.toMatchObject({ code: 'invalid_task', errors: [{ path: 'input/width' }] })
  })
})

describe('dominantColours', () => {
  it('leaves transparent pixels out, and finds nothing in an image of nothing else', () => {
    const clear = [255, 0, 0, 0]
    const blue = [0, 0, 255, 255]
    expect(dominantColours(new Uint8Array([...clear, ...blue, ...clear]), 5)).toEqual([
      { hex: '#0000ff', share: 1 },
    ])
    expect(dominantColours(new Uint8Array(clear), 5)).toEqual([])
  })
})
