import { defineTask } from '@tributary/runs'
import Type from 'typebox'

/** Asks an address, and is done once that has answered: the test says when. */
export const ask = defineTask({
  name: 'Ask',
  input: Type.Object({ url: Type.String() }),
  async run({ request }, { url }) {
    const { status } = await request({ url })
    return { status }
  },
})
