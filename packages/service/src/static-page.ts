import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, sep } from 'node:path'
import type { App } from './app.ts'

export interface StaticPageOptions {
  /** The folder of the files. */
  readonly directory: URL
  /** The files' common name: `sse-client` is `sse-client.html`, `.js`, `.css`, and what is in the folder `sse-client/`. */
  readonly name: string
}

/** The page at `/sse-client.html`, on which one watches a stream. */
export const SSE_CLIENT_PAGE: StaticPageOptions = {
  directory: new URL('../pages/', import.meta.url),
  name: 'sse-client',
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Everything from this server, and nothing inline: so the page's script and style are files beside it. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Serves one page and the files beside it from memory; a browser asks each time, and gets a 304 if it has them. */
export async function addStaticPage(app: App, { directory, name }: StaticPageOptions): Promise<void> {
  for (const path of await readdir(directory, { recursive: true })) {
    const file = path.replaceAll(sep, '/')
    const contentType = CONTENT_TYPES[extname(file)]
    if (contentType === undefined || !isOfPage(file, name)) continue
    const content = await readFile(new URL(file, directory))
    const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 27)}"`
    app.get(`/${file}`, { schema: { hide: true }, logLevel: 'warn' }, async (request, reply) => {
      reply.headers({ 'content-security-policy': CONTENT_SECURITY_POLICY, etag, 'cache-control': 'no-cache' })
      if (hasIt(request.headers['if-none-match'], etag)) return reply.code(304).send()
      return reply.type(contentType).send(content)
    })
  }
}

function isOfPage(file: string, name: string): boolean {
  return file === `${name}${extname(file)}` || file.startsWith(`${name}/`)
}

function hasIt(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = ifNoneMatch?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? []
  return tags.includes(etag) || tags.includes('*')
}
