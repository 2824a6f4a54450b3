import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import type { HttpAnswer } from './http-answer.ts'
import type { ProgramStats } from './program-port.ts'
import { RawClient, type Target } from './raw-client.ts'
import { type StartOptions, StreamProcess } from './stream-process.ts'

export type OwnServerOptions = Omit<StartOptions, 'socketPath'> & { readonly overUnixSocket?: boolean }

/** For what is waited for. */
export const PATIENT = { timeout: 10_000 }

/** A server of streams as one test uses it. Once the test is over, nothing of its streams may be left. */
export class ServedStreams implements AsyncDisposable {
  readonly server: StreamProcess
  /** When the test began. */
  readonly before: ProgramStats
  readonly #target: Target
  readonly #isOwn: boolean

  private constructor(server: StreamProcess, target: Target, before: ProgramStats, isOwn: boolean) {
    this.server = server
    this.before = before
    this.#target = target
    this.#isOwn = isOwn
  }

  /** A server for this test alone. @param options.overUnixSocket listens there instead of on a port. */
  static async start({ overUnixSocket = false, ...given }: OwnServerOptions): Promise<ServedStreams> {
    const options: StartOptions = overUnixSocket ? { ...given, socketPath: newSocketPath() } : given
    const server = await StreamProcess.start(options)
    const { socketPath, tls = false } = options
    const target = socketPath === undefined ? targetOf(server, tls) : { path: socketPath }
    return new ServedStreams(server, target, await server.stats(), true)
  }

  /** The server that the tests of a suite have in common. To be called where the suite is described. */
  static ofSuite(binary: string): () => Promise<ServedStreams> {
    let server: StreamProcess
    beforeAll(async () => {
      server = await StreamProcess.start({ binary })
    })
    afterAll(() => server[Symbol.asyncDispose]())
    return async () => new ServedStreams(server, targetOf(server, false), await server.stats(), false)
  }

  open(): Promise<RawClient> {
    return RawClient.open(this.#target)
  }

  /** One connection with these requests in one packet: all that comes, once it is closed. */
  async answers(requests: readonly string[], methods?: readonly string[]): Promise<HttpAnswer[]> {
    await using client = await this.open()
    client.send(...requests)
    return await client.answers(methods)
  }

  /** Waits until nothing of any stream is left, in the server or in its memory. */
  async settled(): Promise<void> {
    await expect.poll(() => leftOf(this.server), PATIENT).toMatchObject(NOTHING_LEFT)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOwn) return this.settled()
    await this.server[Symbol.asyncDispose]()
    if (this.#target.path !== undefined) rmSync(this.#target.path, { force: true })
  }
}

export const NOTHING_LEFT = { open: 0, admitted: 0, sockets: 0, handles: 0, unclosed: 0, kept: 0 }

/** What a server still has of its streams. */
export async function leftOf(server: StreamProcess) {
  const { streams, closes, tracked, collected, ...now } = await server.stats()
  return { ...now, unclosed: streams - closes, kept: tracked - collected }
}

const newSocketPath = () => join(tmpdir(), `tributary-${randomUUID()}.sock`)

const targetOf = ({ port }: StreamProcess, tls: boolean): Target => ({ port, host: '127.0.0.1', tls })
