import { expect, test } from 'vitest'
import { namedMaster, UNKNOWN_MASTER } from './named-master.ts'

const STATE = ['name', 'main', 'ip', '10.0.0.1', 'port', '6379', 'config-epoch', '7', 'num-slaves', '1']

test('the address is that which is told as such: the state has the old one for a while yet', () => {
  expect(namedMaster(STATE, ['10.0.0.2', '6380'])).toEqual({
    address: { host: '10.0.0.2', port: 6380 },
    epoch: 7,
  })
})

test.each<[string, unknown, unknown, string]>([
  ['knows no such master', [], null, UNKNOWN_MASTER],
  ['answers what no Sentinel does', 'OK', ['10.0.0.2', '6380'], 'what answers there is no Sentinel'],
  ['answers half an address', STATE, ['10.0.0.2'], 'what answers there is no Sentinel'],
  ['is too old to say it', STATE.slice(0, 6), ['h', '1'], 'a Sentinel does not say its config-epoch'],
])('says what is wrong where a Sentinel %s', (_, state, address, message) => {
  expect(() => namedMaster(state, address)).toThrow(message)
})
