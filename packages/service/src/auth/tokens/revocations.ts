import { type Clock, ProblemError, type RevocationTarget, type RevocationView } from '@tributary/protocol'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Principal } from '../principal.ts'
import { refusal } from './jwt-verifier.ts'
import type { RevocationChanges, RevocationStore } from './revocation-store.ts'

/** Revocations that are kept at a time; one more is refused, for each that was dropped for it would let somebody in. */
const MAX_REVOCATIONS = 100_000
const RETRY_AFTER_S = 60

/** What of a principal says whether he is revoked. */
export type Revocable = Partial<Pick<Principal, 'userId' | 'tokenId' | 'issuedAt'>> & {
  readonly signIn?: { readonly tokenId: string }
}

export interface RevocationsOptions {
  readonly store: RevocationStore
  readonly clock: Pick<Clock, 'now'>
  /** How long one holds, in seconds: as long as the longest token counts. */
  readonly keptS: number
  /** Default 100,000. */
  readonly max?: number
}

const revokedCheck = Compile(Type.Object({ revokedAt: Type.Number() }))

/**
 * The users and tokens that count no more. A user's revocation is of all that was issued to him up to that moment, so
 * he can sign in anew; a token's is also of what was got with it. Each is stored, and forgotten when its time is over.
 */
export class Revocations {
  readonly #store: RevocationStore
  readonly #clock: Pick<Clock, 'now'>
  readonly #keptMs: number
  readonly #max: number
  // By key, when it was, the oldest first; ahead of the store, so that nobody comes in while it is being written.
  readonly #revokedAt = new Map<string, number>()
  // The keys of what could not be stored: it goes along with the next.
  readonly #unstored = new Set<string>()

  constructor({ store, clock, keptS, max = MAX_REVOCATIONS }: RevocationsOptions) {
    this.#store = store
    this.#clock = clock
    this.#keptMs = keptS * 1_000
    this.#max = max
    const kept = [...store.entries].flatMap(([key, text]): [string, number][] => {
      const revokedAt = momentIn(text)
      return revokedAt === undefined ? [] : [[key, revokedAt]]
    })
    for (const [key, revokedAt] of kept.sort(([, a], [, b]) => a - b)) this.#revokedAt.set(key, revokedAt)
    store.onChanged((changes) => this.#apply(changes))
  }

  /**
   * Whether this counts no more. What does not say when it was issued is taken for older than any revocation; what was
   * issued in the second of the revocation, too, for tokens know no more than seconds.
   */
  isRevoked({ userId, tokenId, signIn, issuedAt }: Revocable): boolean {
    if (this.#revokedAt.size === 0) return false
    if (tokenId !== undefined && this.#find(keyOf({ tokenId })) !== undefined) return true
    if (signIn !== undefined && this.#find(keyOf(signIn)) !== undefined) return true
    const since = userId === undefined ? undefined : this.#find(keyOf({ userId }))
    return since !== undefined && (issuedAt === undefined || issuedAt <= since)
  }

  /** @throws ProblemError `token_revoked` where it counts no more. */
  check(principal: Revocable): void {
    if (this.isRevoked(principal)) throw refusal('token_revoked', 'It was revoked')
  }

  /**
   * Revokes a user's tokens, or one. It holds when this returns; the promise resolves once it is stored, to survive a
   * restart. Once more moves a user's moment on. What could not be stored is with the next.
   *
   * @throws ProblemError `overloaded` where there are too many; as the store, and then it holds in this process.
   */
  async add(target: RevocationTarget): Promise<RevocationView> {
    const key = keyOf(target)
    const forgotten = this.#forget()
    if (!this.#revokedAt.has(key) && this.#revokedAt.size >= this.#max) {
      throw new ProblemError(
        'overloaded',
        `There are ${this.#max} revocations; take some back (DELETE), or keep them for less time (AUTH_REVOCATION_KEPT_S).`,
        { retryAfterS: RETRY_AFTER_S },
      )
    }
    const revokedAt = this.#clock.now()
    this.#revokedAt.delete(key)
    this.#revokedAt.set(key, revokedAt)
    await this.#save([...forgotten, key])
    return this.#viewOf(key, revokedAt)
  }

  /** Takes one back. Answers whether it was there. @throws as the store, and then it still holds. */
  async lift(target: RevocationTarget): Promise<boolean> {
    const key = keyOf(target)
    if (this.#find(key) === undefined) return false
    await this.#store.save({ [key]: null })
    this.#unstored.delete(key)
    return this.#revokedAt.delete(key)
  }

  /** Those that hold, in the order of their names. @param after the `next` of the page before. */
  list(limit: number, after = ''): { revocations: RevocationView[]; next?: string } {
    const keys = [...this.#revokedAt.keys()].filter((key) => key > after && this.#find(key) !== undefined)
    const page = keys.toSorted().slice(0, limit)
    const last = page.at(-1)
    return {
      revocations: page.map((key) => this.#viewOf(key, this.#revokedAt.get(key) ?? 0)),
      ...(keys.length > page.length && last !== undefined ? { next: last } : {}),
    }
  }

  /** Stores how it is with these, and with what could not be stored before. */
  async #save(changed: readonly string[]): Promise<void> {
    const keys = [...this.#unstored, ...changed]
    this.#unstored.clear()
    try {
      await this.#store.save(Object.fromEntries(keys.map((key) => [key, this.#textOf(key)])))
    } catch (error) {
      for (const key of keys) this.#unstored.add(key)
      throw error
    }
  }

  /** Takes over what another node has changed. */
  #apply(changes: RevocationChanges): void {
    for (const [key, text] of changes) {
      this.#revokedAt.delete(key)
      const revokedAt = text === null ? undefined : momentIn(text)
      if (revokedAt !== undefined) this.#revokedAt.set(key, revokedAt)
    }
  }

  #textOf(key: string): string | null {
    const revokedAt = this.#revokedAt.get(key)
    return revokedAt === undefined ? null : JSON.stringify({ revokedAt })
  }

  #find(key: string): number | undefined {
    const revokedAt = this.#revokedAt.get(key)
    return revokedAt !== undefined && this.#clock.now() < revokedAt + this.#keptMs ? revokedAt : undefined
  }

  /** Lets go of those whose time is over. Answers which they were. */
  #forget(): string[] {
    const forgotten: string[] = []
    for (const key of this.#revokedAt.keys()) {
      if (this.#find(key) !== undefined) break
      forgotten.push(key)
    }
    for (const key of forgotten) this.#revokedAt.delete(key)
    return forgotten
  }

  #viewOf(key: string, revokedAt: number): RevocationView {
    const colon = key.indexOf(':')
    const name = key.slice(colon + 1)
    const target = key.startsWith('user:') ? { userId: name } : { tokenId: name }
    return { ...target, revokedAt, forgottenAt: revokedAt + this.#keptMs }
  }
}

/** When it was, by what is stored; `undefined` where that is none of ours. */
function momentIn(text: string): number | undefined {
  const stored = parsed(text)
  return revokedCheck.Check(stored) ? stored.revokedAt : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The name that a target is kept by. @throws ProblemError `invalid_request` where it is none, or both. */
function keyOf({ userId, tokenId }: RevocationTarget): string {
  if (userId !== undefined && tokenId === undefined) return `user:${userId}`
  if (tokenId !== undefined && userId === undefined) return `token:${tokenId}`
  throw new ProblemError('invalid_request', 'Name "userId" or "tokenId", one of the two.')
}
