import { LocalUserQuota } from '../src/index.ts'
import { userQuotaContract } from './user-quota-contract.ts'

userQuotaContract(async (limits) => new LocalUserQuota(limits))
