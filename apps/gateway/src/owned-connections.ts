import type { Cluster } from '@tributary/cluster'
import type { Connection, Hub } from '@tributary/hub'
import {
  type ConnectionTokenAnswer,
  type ConnectionView,
  ERROR_CODES,
  type ErrorCode,
  ProblemError,
  type SubscriptionAnswer,
  SubscriptionChange,
} from '@tributary/protocol'
import { checkOwner, mayJoin, type Principal, requireGroups } from '@tributary/service'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'

const KIND = 'gateway:connection'

const PrincipalMessage = Type.Object({
  userId: Type.String(),
  roles: Type.Array(Type.String()),
  method: Type.Enum(['session', 'token', 'static', 'loopback', 'worker', 'anonymous']),
  metadata: Type.Record(Type.String(), Type.Unknown()),
  expiresAt: Type.Optional(Type.Number()),
  tokenId: Type.Optional(Type.String()),
  issuedAt: Type.Optional(Type.Number()),
  signIn: Type.Optional(Type.Object({ tokenId: Type.String(), endsAt: Type.Number() })),
  groups: Type.Optional(Type.Array(Type.String())),
  publish: Type.Optional(Type.Array(Type.String())),
})

const Asked = Type.Object({
  id: Type.String(),
  principal: PrincipalMessage,
  what: Type.Union([
    Type.Object({ do: Type.Literal('view') }),
    Type.Object({ do: Type.Literal('close'), reason: Type.Optional(Type.String()) }),
    Type.Object({ do: Type.Literal('subscribe'), change: SubscriptionChange }),
    Type.Object({ do: Type.Literal('renew'), token: PrincipalMessage }),
  ]),
})
type Asked = Static<typeof Asked>

const Answered = Type.Union([
  Type.Object({ view: Type.Unsafe<ConnectionView>(Type.Object({ connectionId: Type.String() })) }),
  Type.Object({ code: Type.String(), message: Type.String() }),
  Type.Object({
    subscribed: Type.Object({ connectionId: Type.String(), groups: Type.Array(Type.String()) }),
  }),
  Type.Object({
    renewed: Type.Object({
      connectionId: Type.String(),
      groups: Type.Array(Type.String()),
      expiresAt: Type.Optional(Type.Number()),
    }),
  }),
])
type Answered = Static<typeof Answered>

const askedCheck = Compile(Asked)
const answeredCheck = Compile(Answered)

export interface OwnedConnectionsOptions {
  readonly hub: Hub
  readonly cluster: Cluster
}

/**
 * What a user asks about one connection, done at the node that has it. He may ask of his own, an admin of any.
 *
 * All throw ProblemError `connection_not_found`, `forbidden`; `upstream_unavailable` where its node does not answer.
 */
export class OwnedConnections {
  readonly #hub: Hub
  readonly #cluster: Cluster

  constructor({ hub, cluster }: OwnedConnectionsOptions) {
    this.#hub = hub
    this.#cluster = cluster
    cluster.handle(KIND, async (payload) => {
      if (!askedCheck.Check(payload)) throw new TypeError('the request is none of this version')
      return this.#do(payload).catch(asMessage)
    })
  }

  async view(id: string, principal: Principal): Promise<ConnectionView> {
    const answer = await this.#ask({ id, principal, what: { do: 'view' } })
    if ('view' in answer) return answer.view
    throw unexpected()
  }

  /** Answers which node has done it. */
  async close(id: string, principal: Principal, reason?: string) {
    const what = { do: 'close' as const, ...(reason === undefined ? {} : { reason }) }
    const answer = await this.#ask({ id, principal, what })
    if (!('view' in answer)) throw unexpected()
    const { nodeId = this.#cluster.nodeId } = answer.view
    return { nodeId, isLocal: nodeId === this.#cluster.nodeId }
  }

  async subscribe(id: string, principal: Principal, change: SubscriptionChange): Promise<SubscriptionAnswer> {
    const answer = await this.#ask({ id, principal, what: { do: 'subscribe', change } })
    if ('subscribed' in answer) return answer.subscribed
    throw unexpected()
  }

  /** @param token who the new token is of. @throws also `token_ends_earlier`. */
  async renew(id: string, principal: Principal, token: Principal): Promise<ConnectionTokenAnswer> {
    const answer = await this.#ask({ id, principal, what: { do: 'renew', token } })
    if ('renewed' in answer) return answer.renewed
    throw unexpected()
  }

  async #ask(asked: { id: string; principal: Principal; what: AskedWhat }): Promise<Answered> {
    const { id } = asked
    if (this.#hub.local.getConnection(id) !== undefined) return this.#do(asked)
    const nodeId = await this.#hub.nodeOf(id)
    if (nodeId === undefined || nodeId === this.#cluster.nodeId) throw notFound(id)
    const answer = await this.#cluster.ask(nodeId, KIND, asked)
    if (!answer.ok) {
      throw new ProblemError(
        'upstream_unavailable',
        `The node that has the connection does not answer: ${answer.message}`,
      )
    }
    if (!answeredCheck.Check(answer.result)) throw unexpected()
    if ('code' in answer.result) throw asProblem(answer.result)
    return answer.result
  }

  async #do({
    id,
    principal,
    what,
  }: {
    id: string
    principal: Principal
    what: AskedWhat
  }): Promise<Answered> {
    const connection = this.#own(id, principal)
    switch (what.do) {
      case 'view':
        return { view: this.#hub.local.view(connection) }
      case 'close':
        this.#hub.local.close(id, what.reason)
        return { view: this.#hub.local.view(connection) }
      case 'subscribe':
        return { subscribed: await this.#subscribe(connection, principal, what.change) }
      case 'renew':
        return { renewed: await this.#renew(connection, what.token) }
    }
  }

  #own(id: string, principal: Principal): Connection {
    const connection = this.#hub.local.getConnection(id)
    if (connection === undefined) throw notFound(id)
    checkOwner(principal, connection.userId)
    return connection
  }

  async #subscribe(
    connection: Connection,
    principal: Principal,
    { join = [], leave = [] }: SubscriptionChange,
  ) {
    const { connectionId } = connection
    requireGroups(principal, join)
    // By the token of the stream, too: else the group would be kept for longer than the one that lets it be joined.
    if (principal.userId === connection.userId) requireJoinable(connection, join)
    for (const group of leave) await this.#hub.removeFromGroup(connectionId, group)
    for (const group of join) await this.#hub.addToGroup(connectionId, group)
    return { connectionId, groups: [...connection.groups] }
  }

  async #renew(connection: Connection, token: Principal): Promise<ConnectionTokenAnswer> {
    if (token.userId !== connection.userId) {
      throw new ProblemError(
        'forbidden',
        "The token is another user's; send one of the user whose stream it is.",
      )
    }
    refuseEarlierEnd(connection.credential?.expiresAt, token.expiresAt)
    const { connectionId } = connection
    const { roles, metadata, expiresAt } = token
    const rights = { roles, metadata, credential: token, mayJoin: (group: string) => mayJoin(token, group) }
    if (!(await this.#hub.refresh(connectionId, rights))) throw notFound(connectionId)
    return { connectionId, groups: [...connection.groups], ...(expiresAt === undefined ? {} : { expiresAt }) }
  }
}

type AskedWhat = Asked['what'] | { readonly do: 'renew'; readonly token: Principal }

function notFound(id: string): ProblemError {
  const message = `There is no connection ${JSON.stringify(id)}; it may have ended.`
  return new ProblemError('connection_not_found', message)
}

/** @throws ProblemError `forbidden`, which names the first group that the stream's own token does not let it join. */
function requireJoinable(connection: Connection, groups: readonly string[]): void {
  const refused = groups.find((group) => !connection.mayJoin(group))
  if (refused === undefined) return
  throw new ProblemError(
    'forbidden',
    `The stream's token does not let it join ${JSON.stringify(refused)}; give the stream one that does first.`,
  )
}

/**
 * A refresh is there to go on. One that would end the stream sooner is an old token, come late or by mistake; who means
 * it opens another stream with it. @throws ProblemError `token_ends_earlier`
 */
function refuseEarlierEnd(present = Number.POSITIVE_INFINITY, next = Number.POSITIVE_INFINITY): void {
  if (next >= present) return
  throw new ProblemError(
    'token_ends_earlier',
    'The token ends before the one that the stream has; send a newer one.',
  )
}

/** A refusal goes back as what it is; anything else is a fault of the node. */
function asMessage(error: unknown): Answered {
  if (error instanceof ProblemError) return { code: error.code, message: error.message }
  throw error
}

function asProblem({ code, message }: { readonly code: string; readonly message: string }): ProblemError {
  return new ProblemError(isErrorCode(code) ? code : 'internal_error', message)
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code)
}

function unexpected(): ProblemError {
  return new ProblemError(
    'internal_error',
    'The node that has the connection answered what this one does not know.',
  )
}
