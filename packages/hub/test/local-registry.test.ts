import { LocalConnectionRegistry } from '../src/registry/local-connection-registry.ts'
import { registryContract } from './registry-contract.ts'

registryContract('LocalConnectionRegistry', async (rules) => {
  const registry = new LocalConnectionRegistry({ rules })
  return { here: registry, there: registry }
})
