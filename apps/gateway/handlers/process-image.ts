import { readFile } from 'node:fs/promises'
import { defineTask, type TaskContext, TaskError } from '@tributary/runs'
// Loaded with this module, and so by the main thread too, before any thread that uses it: the native library must not
// be unloaded with the first thread that ends (sharp, "Worker threads").
import sharp from 'sharp'
import Type from 'typebox'
import { dominantColours } from './image/dominant-colours.ts'

/** The most bytes of an image, before it is decoded. */
export const MAX_IMAGE_BYTES = 10_485_760
/** The most pixels of an image: what its header says is checked before any is decoded. */
export const MAX_IMAGE_PIXELS = 40_000_000
/** The most bytes of a thumbnail. In base64 it then fits into an event with room to spare. */
export const MAX_THUMBNAIL_BYTES = 40_960
export const DEFAULT_THUMBNAIL_WIDTH = 240
export const DOMINANT_COLOURS = 5

/** What the image is decoded to: enough for the largest thumbnail. */
const WORKING_EDGE = 1024
const COLOUR_EDGE = 128
const QUALITIES = [80, 60, 40, 20]
const SAMPLE = new URL('./assets/sample.jpg', import.meta.url)

// Whoever names a URL chooses the decoder. Only those of ordinary pictures can be reached: no SVG, PDF or raw loaders.
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({
  operation: ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Heif', 'Tiff'].map(
    (format) => `VipsForeignLoad${format}Buffer`,
  ),
})

interface Image {
  readonly bytes: Uint8Array
  /** How errors call it. */
  readonly name: string
}

export default defineTask({
  name: 'Process Image',
  input: Type.Object(
    {
      url: Type.Optional(
        Type.String({ minLength: 1, maxLength: 8192, description: 'Where the image is. Default: a sample.' }),
      ),
      width: Type.Optional(
        Type.Integer({
          minimum: 16,
          maximum: 512,
          description: 'Pixels of the thumbnail at most. Default 240.',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  cpuBound: true,
  idempotent: true,
  totalSteps: 4,
  async run(context, { url, width = DEFAULT_THUMBNAIL_WIDTH }) {
    const image = url === undefined ? await loadSample() : await download(context, url)
    context.progress({ step: 1, message: `Loaded ${image.bytes.byteLength} bytes` })

    const { original, pixels } = await decode(image)
    context.progress({ step: 2, message: `Decoded ${original.width} × ${original.height} pixels` })

    const thumbnail = await makeThumbnail(pixels, width)
    context.progress({ step: 3, message: `Made a thumbnail ${thumbnail.width} pixels wide` })

    const colours = await findColours(pixels)
    context.progress({ step: 4, message: `Found ${colours.length} dominant colours` })
    return { source: url ?? 'sample', original, thumbnail, colours }
  },
})

async function loadSample(): Promise<Image> {
  return { bytes: await readFile(SAMPLE), name: 'The sample' }
}

async function download(context: TaskContext, url: string): Promise<Image> {
  const { status, headers, body } = await context.request({
    url,
    headers: { accept: 'image/avif,image/webp,image/png,image/jpeg,image/gif,image/tiff' },
    maxBytes: MAX_IMAGE_BYTES,
  })
  if (status < 200 || status > 299) {
    const code = status >= 500 ? 'http_5xx' : 'http_4xx'
    throw new TaskError(`${url} answered ${status}`, { code, retryable: status >= 500 })
  }
  if (body.byteLength === 0) throw new TaskError(`${url} answered with nothing`)
  if (body.byteLength > MAX_IMAGE_BYTES) {
    throw new TaskError(`${url} has more than ${MAX_IMAGE_BYTES} bytes`, { code: 'body_too_large' })
  }
  return { bytes: body, name: `${url} (${headers['content-type'] ?? 'of no content type'})` }
}

/** The image as pixels, upright and in sRGB, made smaller on the way where it is large. */
async function decode({ bytes, name }: Image) {
  try {
    const input = sharp(bytes, { limitInputPixels: MAX_IMAGE_PIXELS, failOn: 'error' })
    const { format, autoOrient } = await input.metadata()
    const pixels = await input
      .autoOrient()
      .resize(WORKING_EDGE, WORKING_EDGE, { fit: 'inside', withoutEnlargement: true })
      .toColourspace('srgb')
      .ensureAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true })
    const original = { width: autoOrient.width, height: autoOrient.height, format, bytes: bytes.byteLength }
    return { original, pixels }
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    if (/unsupported image format/i.test(detail)) {
      throw new TaskError(`${name} is not a JPEG, PNG, WebP, AVIF, GIF or TIFF image`, { cause })
    }
    if (/pixel limit/i.test(detail)) {
      throw new TaskError(`${name} has more than ${MAX_IMAGE_PIXELS} pixels`, {
        code: 'body_too_large',
        cause,
      })
    }
    throw new TaskError(`${name} cannot be decoded: ${detail}`, { cause })
  }
}

type Pixels = Awaited<ReturnType<typeof decode>>['pixels']

async function makeThumbnail({ data, info }: Pixels, maxWidth: number) {
  const { width, height, channels } = info
  const small = sharp(data, { raw: { width, height, channels } }).resize(maxWidth, maxWidth * 4, {
    fit: 'inside',
    withoutEnlargement: true,
  })
  for (const quality of QUALITIES) {
    const { data: bytes, info: made } = await small
      .clone()
      .webp({ quality })
      .toBuffer({ resolveWithObject: true })
    if (bytes.byteLength > MAX_THUMBNAIL_BYTES) continue
    return { data: bytes.toString('base64'), width: made.width, height: made.height, format: 'webp' }
  }
  throw new TaskError(
    `The thumbnail would have more than ${MAX_THUMBNAIL_BYTES} bytes: ask for a smaller width`,
  )
}

async function findColours({ data, info }: Pixels) {
  const { width, height, channels } = info
  const pixels = await sharp(data, { raw: { width, height, channels } })
    .resize(COLOUR_EDGE, COLOUR_EDGE, { fit: 'inside', withoutEnlargement: true })
    .raw()
    .toBuffer()
  return dominantColours(pixels, DOMINANT_COLOURS)
}
