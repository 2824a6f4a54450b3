import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { parsedJson } from './parsed-json.ts'

const Id = Type.String({ minLength: 1, maxLength: 64 })

/** What goes over the channels of the nodes. */
const ControlFrame = Type.Union([
  Type.Object({
    type: Type.Literal('request'),
    id: Id,
    from: Id,
    kind: Type.String({ minLength: 1, maxLength: 64 }),
    payload: Type.Optional(Type.Unknown()),
    /** Whom it is for; without, for all who hear it. */
    service: Type.Optional(Type.Enum(['gateway', 'worker'])),
    /** From when on nobody waits for it any more, in ms by Redis' clock. */
    until: Type.Optional(Type.Number()),
  }),
  Type.Object({
    type: Type.Literal('answer'),
    id: Id,
    from: Id,
    ok: Type.Boolean(),
    result: Type.Optional(Type.Unknown()),
    message: Type.Optional(Type.String()),
  }),
  /** A node has left: whoever finds nodes that are gone may look at once. */
  Type.Object({ type: Type.Literal('left') }),
])
export type ControlFrame = Static<typeof ControlFrame>

const check = Compile(ControlFrame)

/** `undefined` where it is none of ours, or of a newer version. */
export function readFrame(text: string): ControlFrame | undefined {
  const frame = parsedJson(text)
  return check.Check(frame) ? frame : undefined
}
