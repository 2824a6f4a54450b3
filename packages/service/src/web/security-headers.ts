import helmet from '@fastify/helmet'
import { fastify } from 'fastify'
import type { App } from '../app.ts'

/** Half a year; not for subdomains, which may be somebody else's. */
const HTTPS_ONLY_S = 15_552_000

/** What an answer has whether @fastify/helmet is there or not. */
const ORDINARY = ['content-type', 'content-length', 'date', 'connection']

/**
 * Gives every answer, streams too, the headers that keep a browser from taking it for something else or putting it
 * into somebody's frame. Pages replace the policy of their content by their own.
 */
export async function secureAnswers(app: App, nodeEnv: string): Promise<void> {
  const headers = await headersOfHelmet(nodeEnv === 'production')
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
}

/** What @fastify/helmet would set. It is asked once: it makes its headers anew for each request, and they are the same. */
async function headersOfHelmet(httpsOnly: boolean): Promise<Record<string, string>> {
  const probe = fastify()
  await probe.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    frameguard: { action: 'deny' },
    // To us it is told, for it may be all by which a page of ours is known.
    referrerPolicy: { policy: 'same-origin' },
    hsts: httpsOnly && { maxAge: HTTPS_ONLY_S, includeSubDomains: false },
    // Of use to browsers that are gone, or against what no answer of ours has.
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
  })
  probe.get('/', async () => '')
  const answer = await probe.inject('/')
  await probe.close()
  const pairs = Object.entries(answer.headers).filter(([name]) => !ORDINARY.includes(name))
  return Object.fromEntries(pairs.map(([name, value]) => [name, String(value)]))
}
