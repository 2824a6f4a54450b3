import { subscribe } from 'node:diagnostics_channel'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { afterEach, expect } from 'vitest'
import { AnswerCheck } from './answer-check.ts'
import { untrueAnswers } from './untrue-answers.ts'

/** How the documents of the services are called. An app that a test makes up for itself is left alone. */
const OURS = 'Tributary '

/**
 * A setup file of vitest: each answer of each service that a test builds must be as its API documents say; else the
 * test fails.
 */
afterEach(() => {
  const found = [...untrueAnswers]
  untrueAnswers.clear()
  expect(found, 'answers that are not as the API documents say').toEqual([])
})

// Fastify tells of each app that is made, before anything is added to it.
subscribe('fastify.initialization', (message) => {
  if (isInitialization(message)) watch(message.fastify)
})

function isInitialization(message: unknown): message is { fastify: FastifyInstance } {
  return typeof message === 'object' && message !== null && 'fastify' in message
}

function watch(app: FastifyInstance): void {
  let check: AnswerCheck | undefined
  const look = (request: FastifyRequest, reply: FastifyReply, headers: object, body?: string) => {
    const { url, schema } = request.routeOptions
    if (!('swagger' in app) || typeof app.swagger !== 'function') return
    const isHidden = schema !== undefined && 'hide' in schema && schema.hide === true
    if (url === undefined || request.is404 || isHidden) return
    const document = app.swagger()
    if (!document.info.title.startsWith(OURS)) return
    check ??= new AnswerCheck(document)
    const { statusCode: status } = reply.raw.headersSent ? reply.raw : reply
    const fault = check.faultOf({
      method: request.method,
      url,
      status: reply.sent ? 200 : status,
      headers: { ...headers },
      ...(body === undefined ? {} : { body }),
    })
    if (fault !== undefined) untrueAnswers.add(fault)
  }

  app.addHook('onRequest', async (request, reply) => {
    const { raw } = reply
    const { writeHead } = raw
    // A stream is written past Fastify, which then calls no `onSend`.
    const value = (...head: unknown[]) => {
      const headers = head.at(-1)
      if (reply.sent && typeof headers === 'object' && headers !== null) look(request, reply, headers)
      return Reflect.apply(writeHead, raw, head)
    }
    Object.defineProperty(raw, 'writeHead', { value, configurable: true, writable: true })
  })
  app.addHook('onSend', async (request, reply, payload) => {
    const isText = typeof payload === 'string' || Buffer.isBuffer(payload)
    const body = isText ? payload.toString() : undefined
    look(request, reply, reply.getHeaders(), payload === undefined || payload === null ? '' : body)
    return payload
  })
}
