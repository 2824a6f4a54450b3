import { AddressPolicy } from '@tributary/outbound'
import {
  type Audience,
  audienceIncludes,
  audienceTopics,
  formatEventId,
  memberTopics,
  parseCursor,
  parseEventId,
} from '@tributary/protocol'
import { readConfig } from '@tributary/service'
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import Type from 'typebox'
import { expect } from 'vitest'
import { fuzz } from './fuzz.ts'

const text = () => fc.string({ unit: 'binary', maxLength: 80 })
const safe = () => fc.nat({ max: Number.MAX_SAFE_INTEGER })
const runId = () => fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)
const nearlyId = () =>
  fc
    .array(
      fc.oneof(
        fc.constantFrom('.', '-', ' ', '0', '9007199254740993', '1e3', '+1', '\n', '٣'),
        runId(),
        text(),
      ),
      {
        maxLength: 5,
      },
    )
    .map((parts) => parts.join(''))

fuzz(
  'an event id is read as it was written',
  fc.property(fc.option(runId(), { nil: undefined }), safe(), safe(), (run, ms, n) => {
    const parts = run === undefined ? { ms, n } : { runId: run, ms, n }
    expect(parseEventId(formatEventId(parts))).toEqual(parts)
    expect(parseCursor(formatEventId(parts))).toEqual({ kind: 'event', ...parts })
  }),
)

fuzz(
  'what is read as a cursor is one line, and safe to count with; anything else is none',
  fc.property(nearlyId(), (id) => {
    const cursor = parseCursor(id)
    if (cursor === undefined) return
    expect(id).toMatch(/^(?:[\w-]{1,64}\.)?\d{1,16}(?:-\d{1,16})?$/)
    expect(id).not.toMatch(/\s/)
    expect(Number.isSafeInteger(cursor.ms)).toBe(true)
    if (cursor.kind === 'event') expect(Number.isSafeInteger(cursor.n)).toBe(true)
  }),
)

const name = () => fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', '')
const names = () => fc.array(name(), { maxLength: 3 })
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const member = fc.record({
  connectionId: name(),
  userId: optional(name()),
  sessionId: optional(name()),
  groups: names().map((all) => new Set(all)),
  roles: names().map((all) => new Set(all)),
  metadata: fc.dictionary(name(), fc.constantFrom(1, 'x', null)),
})
const present = <T extends object>(value: T) =>
  Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined))
const audience: fc.Arbitrary<Audience> = fc
  .record({
    all: fc.constantFrom(undefined, undefined, true as const),
    users: optional(names()),
    groups: optional(names()),
    roles: optional(names()),
    sessions: optional(names()),
    connections: optional(names()),
    only: optional(
      fc
        .record({ user: optional(name()), session: optional(name()), connections: optional(names()) })
        .map(present),
    ),
    where: optional(fc.dictionary(name(), fc.constantFrom(1, 'x', null))),
  })
  .map(present)

fuzz(
  'whom an audience includes is found under one of its topics, and holds all of where',
  fc.property(audience, member, (whom, who) => {
    if (!audienceIncludes(whom, who)) return
    const topics = new Set<string>(memberTopics(who))
    expect(audienceTopics(whom).some((topic) => topics.has(topic))).toBe(true)
    for (const [key, value] of Object.entries(whom.where ?? {})) expect(who.metadata[key]).toBe(value)
  }),
)

fuzz(
  'an audience of nobody includes nobody',
  fc.property(member, optional(fc.dictionary(name(), fc.constant(1))), (who, where) => {
    expect(audienceIncludes(where === undefined ? {} : { where }, who)).toBe(false)
    expect(audienceIncludes({ only: {} }, who)).toBe(false)
  }),
)

const settings = Type.Object({
  WHOLE: Type.Integer({ minimum: 0, maximum: 65_535 }),
  NUMBER: Type.Number(),
  FLAG: Type.Boolean(),
  ONE: Type.Enum(['a', 'b']),
  URL: Type.String({ format: 'uri' }),
  LIST: Type.Array(Type.String({ minLength: 1 })),
  SECRET: Type.String({ minLength: 32 }),
})
const value = () =>
  fc.oneof(
    text(),
    fc.integer().map(String),
    fc.webUrl(),
    fc.constantFrom('true', '0x10', '1e3', 'a', ' b ', ',,', ''),
  )

fuzz(
  'variables of anything are read, or each that is wrong is named, and no secret told',
  fc.property(
    fc.record({
      WHOLE: value(),
      NUMBER: value(),
      FLAG: value(),
      ONE: value(),
      URL: value(),
      LIST: value(),
      SECRET: value(),
    }),
    (env) => {
      try {
        const config = readConfig(settings, env, { secretNames: ['SECRET'] })
        expect(Number.isInteger(config.WHOLE) && config.WHOLE >= 0 && config.WHOLE <= 65_535).toBe(true)
        expect(Number.isFinite(config.NUMBER)).toBe(true)
        expect(['http:', 'https:']).toContain(new URL(config.URL).protocol)
        expect(config.SECRET.length).toBeGreaterThanOrEqual(32)
      } catch (error) {
        expect(error).toHaveProperty('name', 'ConfigError')
        expect(String(error)).toMatch(/WHOLE|NUMBER|FLAG|ONE|URL|LIST|SECRET/)
        const wrong = String(error).split('SECRET must')[1] ?? ''
        if (env.SECRET.trim().length > 8) expect(wrong).not.toContain(JSON.stringify(env.SECRET.trim()))
      }
    },
  ),
)

const part = () =>
  fc.oneof(
    fc.nat({ max: 255 }).map(String),
    fc.nat({ max: 255 }).map((n) => `0x${n.toString(16)}`),
    fc.nat({ max: 255 }).map((n) => `0${n.toString(8)}`),
    fc.nat({ max: 2 ** 32 - 1 }).map(String),
    fc.constantFrom('', '%31', '１', '。', '०', '0x', '00000177', '127', '10', '169', '254', '192', '168'),
  )
const ipv4 = () =>
  fc
    .array(part(), { minLength: 1, maxLength: 5 })
    .chain((parts) => fc.constantFrom('.', '。', '%2e', '．').map((dot) => parts.join(dot)))
const ipv6 = () =>
  fc.oneof(
    fc.ipV6(),
    fc.ipV4().map((address) => `::ffff:${address}`),
    fc.ipV4().map((address) => `::${address}`),
    fc.ipV4().map((address) => `64:ff9b::${address}`),
    fc.ipV4().map((address) => `::ffff:0:${address}`),
    fc.constantFrom(
      '::',
      '::1',
      'fe80::1%25eth0',
      'fc00::1',
      '2002:7f00:1::',
      '2001::1',
      '::ffff:7f00:1',
      'ff02::1',
    ),
  )

fuzz(
  'whatever an address looks like, it may be called only where it is a public one',
  fc.property(
    fc.oneof(
      ipv4(),
      ipv6().map((address) => `[${address}]`),
      fc.ipV4Extended(),
    ),
    (host) => {
      const url = URL.parse(`http://${host}/`)
      if (url === null) return
      const policy = new AddressPolicy()
      const hostname = url.hostname.replace(/^\[|\]$/g, '')
      if (!ipaddr.isValid(hostname)) return
      const address = ipaddr.process(hostname)
      const isPublic = address.range() === 'unicast'
      for (const spelled of [url.hostname, hostname]) {
        if (policy.allowsHost(spelled, 80)) expect(isPublic).toBe(true)
        if (policy.allowsAddress(hostname, 80, spelled)) expect(isPublic).toBe(true)
      }
    },
  ),
)

fuzz(
  'a policy answers about any host and any entry, and throws of one kind',
  fc.property(text(), fc.oneof(text(), ipv4(), fc.domain()), fc.nat({ max: 65_535 }), (entry, host, port) => {
    try {
      new AddressPolicy({ allow: [entry] }).allowsHost(host, port)
    } catch (error) {
      expect(error).toHaveProperty('name', 'AddressEntryError')
    }
    expect(new AddressPolicy({ deny: ['0.0.0.0/0', '::/0'] }).allowsAddress(host, port, host)).toBe(false)
  }),
)
