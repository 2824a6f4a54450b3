import { defineTask } from '@tributary/runs'
import Type from 'typebox'

/** Keeps a thread busy without a pause, and says so now and then. */
export const burn = defineTask({
  name: 'Burn',
  input: Type.Object({ ms: Type.Integer({ minimum: 1 }) }),
  cpuBound: true,
  run({ progress }, { ms }) {
    const until = performance.now() + ms
    let rounds = 0
    for (let told = 0; performance.now() < until; rounds += 1) {
      const done = 1 - (until - performance.now()) / ms
      if (done * 4 > told + 1) progress({ step: ++told, totalSteps: 4 })
    }
    return { burned: rounds > 0 }
  },
})
