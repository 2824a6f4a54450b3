import { LocalCluster } from '../src/index.ts'
import { oneNodeContract } from './one-node-contract.ts'

oneNodeContract(async (service) => new LocalCluster({ service }))
