import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { FakeClock } from '@tributary/testkit'
import { exportJWK, type FlattenedJWSInput, generateKeyPair } from 'jose'
import { expect, onTestFinished, test } from 'vitest'
import { remoteKeys } from './jwt-keys.ts'

const HEADER = { alg: 'RS256', kid: 'k1' }
const TOKEN: FlattenedJWSInput = { payload: '', signature: '' }

/** A server of a JWKS that answers as it is told, and counts how often it is asked. */
async function jwksServer(answer: RequestListener) {
  const state = { answer, asked: 0 }
  const server = createServer((request, response) => {
    state.asked += 1
    state.answer(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { state, url: `http://127.0.0.1:${address.port}/jwks` }
}

const answering = (text: string) => (_request: unknown, response: { end(text: string): void }) =>
  response.end(text)

async function jwksOf(kid: string): Promise<string> {
  const { publicKey } = await generateKeyPair('RS256', { extractable: true })
  return JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'RS256' }] })
}

test.each<[string, RequestListener]>([
  ['text', answering('<html>down for maintenance</html>')],
  ['half of a JSON', answering('{"keys": [{"kty":')],
  ['JSON that is no JWKS', answering('{"keys": "none"}')],
  ['null', answering('null')],
  ['nothing', answering('')],
  ['more than a JWKS can be', answering(`{"keys": [], "x": "${'x'.repeat(1_100_000)}"}`)],
  ['another status', (_request, response) => response.writeHead(204).end()],
  ['another place', (_request, response) => response.writeHead(302, { location: '/other' }).end()],
])('a server that answers with %s is not asked again for each token', async (_what, answer) => {
  const { state, url } = await jwksServer(answer)
  const clock = new FakeClock()
  const faults: unknown[] = []
  const keys = remoteKeys(url, clock, (error) => faults.push(error))
  for (let token = 0; token < 5; token += 1)
    await expect(keys(HEADER, TOKEN)).rejects.toMatchObject({ code: 'keys_unavailable' })
  expect([state.asked, faults.length]).toEqual([1, 1])
  state.answer = answering(await jwksOf('k1'))
  clock.advance(30_000)
  expect(await keys(HEADER, TOKEN)).toMatchObject({ type: 'public' })
  expect(state.asked).toBe(2)
})

test('an answer without an end is not read to its end', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const { url } = await jwksServer((_request, response) => {
    const more = () => {
      while (!response.destroyed && response.write(' '.repeat(65_536)));
      if (!response.destroyed) response.once('drain', more)
    }
    response.once('close', resolve)
    more()
  })
  const keys = remoteKeys(url, new FakeClock())
  await expect(keys(HEADER, TOKEN)).rejects.toMatchObject({ code: 'keys_unavailable' })
  await promise
})

test('a wall clock that is set back keeps no key that has been replaced', async () => {
  const { state, url } = await jwksServer(answering(await jwksOf('k1')))
  const clock = new FakeClock()
  const keys = remoteKeys(url, clock)
  expect(await keys(HEADER, TOKEN)).toMatchObject({ type: 'public' })
  state.answer = answering(await jwksOf('k2'))
  clock.jumpTo(clock.now() - 3_600_000)
  expect(await keys({ ...HEADER, kid: 'k2' }, TOKEN)).toMatchObject({ type: 'public' })
  await expect(keys(HEADER, TOKEN)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' })
  expect(state.asked).toBe(2)
})
