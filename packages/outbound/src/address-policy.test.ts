import { describe, expect, it } from 'vitest'
import { AddressEntryError } from './address-entry.ts'
import { AddressPolicy } from './address-policy.ts'

const SPELLINGS = [
  // Loopback
  '127.0.0.1',
  '127.1',
  '127.0.1',
  '127.255.255.254',
  '2130706433',
  '017700000001',
  '0x7f000001',
  '0x7f.1',
  '0x7f.0x0.0x0.0x1',
  '0177.0.0.1',
  '0177.0.0.01',
  '00000177.1',
  '127.0.0.1.',
  '１２７.0.0.1',
  '127。0。0。1',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[0000::0001]',
  // The same, inside IPv6
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[0:0:0:0:0:ffff:127.0.0.1]',
  '[::127.0.0.1]',
  '[::7f00:1]',
  '[::ffff:0:127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b:1::7f00:1]',
  '[2002:7f00:1::]',
  '[2001:0:4136:e378:8000:63bf:80ff:fffe]',
  // This host, this network
  '0',
  '0.0.0.0',
  '0.1.2.3',
  '[::]',
  '[::ffff:0.0.0.0]',
  // Private, shared, link-local
  '10.0.0.1',
  '10.255.255.255',
  '167772161',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '0xc0a80001',
  '100.64.0.1',
  '169.254.0.1',
  '[fe80::1]',
  '[fec0::1]',
  '[fc00::1]',
  '[fd12:3456:789a::1]',
  // What clouds answer their own machines at
  '169.254.169.254',
  '2852039166',
  '0xa9fea9fe',
  '[::ffff:169.254.169.254]',
  '[fd00:ec2::254]',
  '100.100.100.200',
  '192.0.0.192',
  '168.63.129.16',
  '[::ffff:168.63.129.16]',
  // Multicast, broadcast, documentation, benchmarks, not handed out
  '224.0.0.1',
  '239.255.255.255',
  '255.255.255.255',
  '240.0.0.1',
  '192.0.2.1',
  '198.51.100.1',
  '203.0.113.1',
  '198.18.0.1',
  '192.88.99.1',
  '[ff02::1]',
  '[2001:db8::1]',
  '[3fff::1]',
  '[100::1]',
  '[4000::1]',
  '[5f00::1]',
]

describe('an address policy without entries', () => {
  const policy = new AddressPolicy()

  it.each(SPELLINGS)('refuses %s', (host) => {
    expect(policy.allowsHost(host, 80)).toBe(false)
    expect(policy.allowsHost(new URL(`http://${host}/`).hostname, 80)).toBe(false)
  })

  it.each([
    '8.8.8.8',
    '1.1.1.1',
    '172.32.0.1',
    '100.128.0.1',
    '134744072',
    '[2606:4700:4700::1111]',
    '[::ffff:8.8.8.8]',
  ])('allows the public address %s', (host) => {
    expect(policy.allowsHost(host, 443)).toBe(true)
  })

  it('lets a name be looked up, and judges what it resolves to', () => {
    expect(policy.allowsHost('example.com', 443)).toBe(true)
    expect(policy.allowsAddress('93.184.215.14', 443, 'example.com')).toBe(true)
    expect(policy.allowsAddress('127.0.0.1', 443, 'example.com')).toBe(false)
    expect(policy.allowsAddress('::ffff:10.0.0.1', 443, 'example.com')).toBe(false)
    expect(policy.allowsAddress('fe80::1%eth0', 443, 'example.com')).toBe(false)
  })

  it.each(['', 'a b', 'a/b', 'a@b', 'a?b', '[::1', 'a%00b', '1.2.3.256'])(
    'refuses %j, which is no host',
    (host) => {
      expect(policy.allowsHost(host, 80)).toBe(false)
    },
  )

  it('refuses what is no address', () => {
    expect(policy.allowsAddress('localhost', 80, 'localhost')).toBe(false)
  })
})

describe('an allow entry', () => {
  it('opens whatever a host resolves to, on its port only', () => {
    const policy = new AddressPolicy({ allow: ['localhost:8080'] })
    expect(policy.allowsAddress('127.0.0.1', 8080, 'localhost')).toBe(true)
    expect(policy.allowsAddress('::1', 8080, 'LOCALHOST.')).toBe(true)
    expect(policy.allowsAddress('127.0.0.1', 8081, 'localhost')).toBe(false)
    expect(policy.allowsAddress('127.0.0.1', 8080, 'evil.example')).toBe(false)
    expect(policy.allowsHost('127.0.0.1', 8080)).toBe(false)
  })

  it('opens the names below a suffix, not the suffix and not what merely ends alike', () => {
    const policy = new AddressPolicy({ allow: ['*.internal.example', '*.corp.example:8443'] })
    expect(policy.allowsAddress('10.0.0.1', 80, 'api.internal.example')).toBe(true)
    expect(policy.allowsAddress('10.0.0.1', 80, 'a.b.Internal.Example.')).toBe(true)
    expect(policy.allowsAddress('10.0.0.1', 80, 'internal.example')).toBe(false)
    expect(policy.allowsAddress('10.0.0.1', 80, 'notinternal.example')).toBe(false)
    expect(policy.allowsAddress('10.0.0.1', 8443, 'api.corp.example')).toBe(true)
    expect(policy.allowsAddress('10.0.0.1', 443, 'api.corp.example')).toBe(false)
  })

  it.each([
    ['10.0.0.0/8', '10.200.0.1', 80],
    ['10.1.2.3/8', '10.200.0.1', 80],
    ['::ffff:10.0.0.0/104', '10.200.0.1', 80],
    ['10.0.0.1', '[::ffff:10.0.0.1]', 80],
    ['::ffff:10.0.0.1', '10.0.0.1', 80],
    ['0x7f.1', '127.0.0.1', 80],
    ['10.0.0.1:8080', '10.0.0.1', 8080],
    ['fd00::/8', '[fd12::1]', 80],
    ['::1', '[::1]', 80],
    ['[::1]', '[0:0::1]', 80],
    ['[::1]:8080', '[::1]', 8080],
    ['168.63.129.16', '168.63.129.16', 80],
    ['0.0.0.0/0', '127.0.0.1', 80],
    [' 10.0.0.1 ', '10.0.0.1', 80],
  ])('%s opens %s', (entry, host, port) => {
    const policy = new AddressPolicy({ allow: [entry] })
    expect(policy.allowsHost(host, port)).toBe(true)
    expect(policy.allowsHost('192.168.3.3', port)).toBe(entry === '0.0.0.0/0')
  })

  it.each([
    ['10.0.0.1:8080', '10.0.0.1', 80],
    ['[::1]:8080', '[::1]', 80],
    ['0.0.0.0/0', '[::1]', 80],
    ['::/0', '127.0.0.1', 80],
    ['10.0.0.0/8', '[64:ff9b::10.0.0.1]', 80],
  ])('%s does not open %s on port %i', (entry, host, port) => {
    expect(new AddressPolicy({ allow: [entry] }).allowsHost(host, port)).toBe(false)
  })
})

describe('an entry that is opened later', () => {
  it('counts from then on, until it is taken back', () => {
    const policy = new AddressPolicy({ allow: ['10.0.0.1'] })
    const allowed = () => policy.allowsAddress('10.0.0.2', 8080, '10.0.0.2')
    expect(allowed()).toBe(false)
    const close = policy.open('10.0.0.2:8080')
    expect(allowed()).toBe(true)
    const again = policy.open('10.0.0.2:8080')
    close()
    close()
    expect(allowed()).toBe(true)
    again()
    expect(allowed()).toBe(false)
    expect(policy.allowsAddress('10.0.0.1', 80, '10.0.0.1')).toBe(true)
  })
})

describe('a blocked port', () => {
  it.each([22, 25, 6379])('is closed at public addresses and names: %i', (port) => {
    const policy = new AddressPolicy({ allow: ['10.0.0.1', 'mail.example.com'] })
    for (const host of ['8.8.8.8', 'example.com', '10.0.0.1', 'mail.example.com']) {
      expect(policy.allowsHost(host, port), host).toBe(false)
      expect(policy.allowsAddress('8.8.8.8', port, host), host).toBe(false)
    }
  })

  it('opens by an entry that names it', () => {
    const policy = new AddressPolicy({ allow: ['mail.example.com:25', '10.0.0.1:22'] })
    expect(policy.allowsHost('mail.example.com', 25)).toBe(true)
    expect(policy.allowsAddress('8.8.8.8', 25, 'mail.example.com')).toBe(true)
    expect(policy.allowsAddress('8.8.8.8', 25, 'other.example.com')).toBe(false)
    expect(policy.allowsHost('10.0.0.1', 22)).toBe(true)
    expect(policy.allowsHost('10.0.0.1', 25)).toBe(false)
  })
})

describe('a deny entry', () => {
  it('wins over an allowed name, address and range', () => {
    const policy = new AddressPolicy({
      allow: ['localhost', '127.0.0.1', '10.0.0.0/8', 'db.example'],
      deny: ['127.0.0.1', '10.1.0.0/16', 'db.example'],
    })
    expect(policy.allowsAddress('127.0.0.1', 80, 'localhost')).toBe(false)
    expect(policy.allowsAddress('::ffff:127.0.0.1', 80, 'localhost')).toBe(false)
    expect(policy.allowsHost('10.1.0.1', 80)).toBe(false)
    expect(policy.allowsHost('10.2.0.1', 80)).toBe(true)
    expect(policy.allowsHost('db.example', 80)).toBe(false)
  })

  it('closes public names and addresses in every spelling', () => {
    const policy = new AddressPolicy({ deny: ['Example.com', '*.münchen.example', '8.8.8.8', '1.1.1.1:53'] })
    for (const host of [
      'example.com',
      'EXAMPLE.COM.',
      'a.xn--mnchen-3ya.example',
      '134744072',
      '[::ffff:808:808]',
    ]) {
      expect(policy.allowsHost(host, 443), host).toBe(false)
    }
    expect(policy.allowsHost('www.example.com', 443)).toBe(true)
    expect(policy.allowsAddress('8.8.8.8', 443, 'dns.example')).toBe(false)
    expect(policy.allowsHost('1.1.1.1', 53)).toBe(false)
    expect(policy.allowsHost('1.1.1.1', 443)).toBe(true)
  })
})

describe('a bad entry', () => {
  it.each([
    '',
    'https://example.com',
    'example.com/path',
    'user@example.com',
    '*',
    '*.',
    '*example.com',
    'api.*.example',
    '*.10.0.0.1',
    'a..b',
    '-a.example',
    'a b',
    'example.com:0',
    'example.com:65536',
    'example.com:http',
    'example.com:',
    '1.2.3.256',
    '10.0.0.0/33',
    '10/8',
    'fd00::/129',
    '::1:8080:x',
    '[::1',
    '[::1]:',
    '[10.0.0.1',
    ':8080',
  ])('%j is named, with what is expected', (entry) => {
    const build = () => new AddressPolicy({ deny: ['example.com', entry] })
    expect(build).toThrow(AddressEntryError)
    expect(build).toThrow(`"${entry}" is no address entry: expected a host`)
  })
})
