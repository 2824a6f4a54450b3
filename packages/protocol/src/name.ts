import Type from 'typebox'
import { ProblemError } from './problem.ts'

/**
 * What a name is made of: no control, and no half of a surrogate pair. The stores write UTF-8, which has no word for
 * such a half and puts U+FFFD there: of two names that differ in it alone one would get what is for the other.
 */
export const NAME_CHARACTERS = '^[^\\u0000-\\u001f\\u007f\\ud800-\\udfff]+$'

/** Names of users, groups, roles, sessions and connections: 1 to 128 characters, as above. */
export const Name = Type.String({
  minLength: 1,
  maxLength: 128,
  pattern: NAME_CHARACTERS,
  description: '1 to 128 characters, none of them a control or half of a surrogate pair.',
})

/** The `jti` of a token, by which it can be revoked. */
export const TokenId = Type.String({
  minLength: 1,
  maxLength: 256,
  pattern: '^[^\\ud800-\\udfff]+$',
  description: 'The `jti` of a token: 1 to 256 characters, none of them half of a surrogate pair.',
})

/**
 * Lets on text that comes out of a store as it went in.
 *
 * @throws ProblemError `invalid_request`, which shows the first that does not.
 */
export function requireWholeText(texts: readonly string[]): void {
  const broken = texts.find((text) => !text.isWellFormed())
  if (broken === undefined) return
  throw new ProblemError(
    'invalid_request',
    `${JSON.stringify(broken)} holds half of a surrogate pair, which is no character; take another name.`,
  )
}
