import Type from 'typebox'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { defineTask, isTask, type TaskDefinition } from './define-task.ts'

describe('defineTask', () => {
  it('infers the input of run from the schema', () => {
    const task = defineTask({
      name: 'Resize',
      input: Type.Object({ width: Type.Integer(), url: Type.Optional(Type.String()) }),
      run(context, input) {
        expectTypeOf(input.width).toEqualTypeOf<number>()
        expectTypeOf(input.url).toEqualTypeOf<string | undefined>()
        expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>()
        // @ts-expect-error the schema knows no height
        void input.height
        return { pixels: input.width ** 2 }
      },
    })
    expectTypeOf<ReturnType<typeof task.run>>().toEqualTypeOf<
      { pixels: number } | Promise<{ pixels: number }>
    >()
    expectTypeOf(task).toExtend<TaskDefinition>()
  })

  it('takes anything where there is no schema, and says nothing of its type', () => {
    const task = defineTask({
      name: 'Echo',
      run(_context, input) {
        expectTypeOf(input).toEqualTypeOf<unknown>()
        return input
      },
    })
    expect(task).toMatchObject({ name: 'Echo', cpuBound: false, idempotent: false })
  })

  it('is told from other exports', () => {
    expect(isTask(defineTask({ name: 'Echo', run: () => null }))).toBe(true)
    expect(isTask({ name: 'Echo', run: () => null })).toBe(false)
    expect(isTask(null)).toBe(false)
  })

  it.each(['', 'a\nb', 'x'.repeat(257)])('refuses a name that no request could hold: %j', (name) => {
    expect(() => defineTask({ name, run: () => null })).toThrow(TypeError)
  })

  it.each([0, 1.5, Number.NaN])('refuses %d as totalSteps', (totalSteps) => {
    expect(() => defineTask({ name: 'x', totalSteps, run: () => null })).toThrow('totalSteps')
  })
})
