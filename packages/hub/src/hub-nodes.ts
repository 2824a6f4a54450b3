import type { Cluster, ClusterAnswer } from '@tributary/cluster'
import { CONNECTION_STATES, ConnectionState, ConnectionStates, ConnectionView } from '@tributary/protocol'
import Type, { type Static, type TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { type ConnectionPage, type ConnectionQuery, mergedPages } from './connection-page.ts'
import type { HubConnections } from './hub-connections.ts'
import type { LocalHub } from './local-hub.ts'
import type { CheckedEntries, Registrations } from './registrations.ts'
import type { ConnectionEntry, ConnectionRef } from './registry/connection-registry.ts'

/** The most of a page that goes from node to node, in characters of JSON. */
const MAX_PAGE_CHARS = 48_000
/** What of one connection goes where it alone would be too much. */
const SHORTENED_GROUPS = 100
/** How long a node may take to say whether a connection is open, in ms: somebody waits to be let in. */
const CHECK_TIMEOUT_MS = 1_000

const Refs = Type.Object({
  refs: Type.Array(Type.Object({ connectionId: Type.String(), token: Type.String() })),
})
const Query = Type.Object({
  user: Type.Optional(Type.String()),
  group: Type.Optional(Type.String()),
  state: Type.Optional(ConnectionState),
  leaving: Type.Optional(Type.Boolean()),
  after: Type.Optional(Type.String()),
  limit: Type.Optional(Type.Integer()),
})
const Close = Type.Object({
  by: Type.Enum(['connection', 'user', 'token', 'all']),
  name: Type.String(),
  reason: Type.Optional(Type.String()),
})
type Close = Static<typeof Close>

const Page = Compile(
  Type.Object({ connections: Type.Array(ConnectionView), next: Type.Optional(Type.String()) }),
)
const Closed = Compile(Type.Object({ closed: Type.Integer() }))
const Sent = Compile(Type.Object({ connections: Type.Integer(), sent: Type.Integer() }))
const Open = Compile(Type.Object({ tokens: Type.Array(Type.String()) }))
const States = Compile(ConnectionStates)

/** What came of something that was asked of all nodes. */
export interface OfNodes<T> {
  readonly answers: readonly T[]
  /** Nodes that did it, this one too. */
  readonly acknowledged: readonly string[]
  /** Nodes that did not answer: whether it was done there is not known. */
  readonly unreachable: readonly string[]
}

/** What a close came to. */
export interface CloseReceipt {
  readonly closed: number
  /** How many of them were open at this node. */
  readonly local: number
  /** Nodes that did it, this one too. */
  readonly acknowledged: readonly string[]
  /** Nodes that did not answer: their connections may go on. */
  readonly unreachable: readonly string[]
}

export interface HubNodesOptions {
  readonly cluster: Cluster
  readonly local: LocalHub
  readonly connections: HubConnections
  readonly registrations: Registrations
}

/** What a hub's nodes ask of each other about connections: to be looked at, and to be closed. */
export class HubNodes {
  readonly #cluster: Cluster
  readonly #options: HubNodesOptions
  readonly #ends: (() => void)[]

  constructor(options: HubNodesOptions) {
    this.#options = options
    this.#cluster = options.cluster
    const { local } = options
    const page = handler(Query, (query) => withinMessage(local.page(query)))
    this.#ends = [
      this.#handle('hub:page', page),
      this.#handle('hub:states', async () => local.states()),
      this.#handle('hub:beat', async () => ({ connections: local.count(), sent: local.sendHealthCheck() })),
      this.#handle(
        'hub:close',
        handler(Close, (close) => ({ closed: closeAt(local, close) })),
      ),
      this.#handle(
        'hub:replace',
        handler(Refs, ({ refs }) => ({ closed: this.#replace(refs) })),
      ),
      this.#handle(
        'hub:open',
        handler(Refs, ({ refs }) => ({ tokens: this.#openOf(refs) })),
      ),
    ]
  }

  /** A page of the connections of all nodes. */
  async page(query: ConnectionQuery): Promise<ConnectionPage & Pick<CloseReceipt, 'unreachable'>> {
    const { answers, unreachable } = await this.#askOthers('hub:page', query, Page)
    return { ...mergedPages([this.#options.local.page(query), ...answers], query), unreachable }
  }

  /** How many connections are in which state, on all nodes. */
  async states(): Promise<{ readonly states: ConnectionStates } & Pick<CloseReceipt, 'unreachable'>> {
    const { answers, unreachable } = await this.#askOthers('hub:states', undefined, States)
    const states = this.#options.local.states()
    for (const others of answers) for (const state of CONNECTION_STATES) states[state] += others[state]
    return { states, unreachable }
  }

  /** Sends a heartbeat to all now. */
  async beat() {
    const { local } = this.#options
    const here = { connections: local.count(), sent: local.sendHealthCheck() }
    const { answers, acknowledged, unreachable } = await this.#askOthers('hub:beat', undefined, Sent)
    const all = [here, ...answers]
    return {
      connections: all.reduce((sum, { connections }) => sum + connections, 0),
      sent: all.reduce((sum, { sent }) => sum + sent, 0),
      acknowledged,
      unreachable,
    }
  }

  /** Closes what is named, on all nodes. Here that is done by the time that this has returned. */
  async close(by: Close['by'], name: string, reason?: string): Promise<CloseReceipt> {
    const close = { by, name, ...(reason === undefined ? {} : { reason }) }
    const local = closeAt(this.#options.local, close)
    // There is but one of an id.
    if (by === 'connection' && local > 0)
      return { closed: local, local, acknowledged: [this.#cluster.nodeId], unreachable: [] }
    const { answers, ...nodes } = await this.#askOthers('hub:close', close, Closed)
    return { closed: answers.reduce((sum, { closed }) => sum + closed, local), local, ...nodes }
  }

  /** Has those ended that made room for another. Those elsewhere are told of it, and nobody waits for that. */
  replace(entries: readonly ConnectionEntry[]): void {
    const { local } = this.#options
    this.#replace(entries.filter(({ nodeId }) => nodeId === local.nodeId))
    for (const [nodeId, refs] of byNode(entries)) {
      if (nodeId !== local.nodeId) void this.#cluster.ask(nodeId, 'hub:replace', { refs })
    }
  }

  /** Asks the nodes that are said to have connections open whether they do. */
  async check(entries: readonly ConnectionEntry[]): Promise<CheckedEntries> {
    const gone: ConnectionEntry[] = []
    const silent: string[] = []
    const ask = async ([nodeId, refs]: [string, ConnectionEntry[]]) => {
      const open = nodeId === this.#cluster.nodeId ? this.#openOf(refs) : await this.#askOpen(nodeId, refs)
      if (open === undefined) silent.push(nodeId)
      else gone.push(...refs.filter(({ token }) => !open.includes(token)))
    }
    await Promise.all([...byNode(entries)].map(ask))
    return { gone, silent }
  }

  end(): void {
    for (const end of this.#ends) end()
  }

  async #askOpen(
    nodeId: string,
    entries: readonly ConnectionEntry[],
  ): Promise<readonly string[] | undefined> {
    const refs = entries.map(({ connectionId, token }) => ({ connectionId, token }))
    const answer = await this.#cluster.ask(nodeId, 'hub:open', { refs }, { timeoutMs: CHECK_TIMEOUT_MS })
    return resultOf(answer, Open)?.tokens
  }

  #openOf(refs: readonly ConnectionRef[]): string[] {
    const { local, registrations } = this.#options
    return refs
      .filter(({ connectionId, token }) => registrations.has(local.getConnection(connectionId), token))
      .map(({ token }) => token)
  }

  #replace(refs: readonly ConnectionRef[]): number {
    const { local, connections, registrations } = this.#options
    let ended = 0
    for (const { connectionId, token } of refs) {
      const connection = local.getConnection(connectionId)
      if (connection === undefined || !registrations.has(connection, token)) continue
      connections.end(connection, 'replaced')
      ended += 1
    }
    return ended
  }

  #handle(kind: string, answer: (payload: unknown) => Promise<unknown>): () => void {
    // What is here is known without asking.
    return this.#cluster.handle(kind, async (payload, from) =>
      from === this.#cluster.nodeId ? undefined : answer(payload),
    )
  }

  async #askOthers<S extends TSchema>(
    kind: string,
    payload: unknown,
    check: Validator<Record<never, never>, S>,
  ): Promise<OfNodes<Static<S>>> {
    const answers = await this.#cluster.askAll(kind, payload ?? null, { service: 'gateway' })
    const results = answers
      .filter(({ nodeId }) => nodeId !== this.#cluster.nodeId)
      .map((answer) => ({ nodeId: answer.nodeId, result: resultOf(answer, check) }))
    return {
      answers: results.flatMap(({ result }) => (result === undefined ? [] : [result])),
      acknowledged: [
        this.#cluster.nodeId,
        ...results.flatMap(({ nodeId, result }) => (result === undefined ? [] : [nodeId])),
      ],
      unreachable: results.flatMap(({ nodeId, result }) => (result === undefined ? [nodeId] : [])),
    }
  }
}

function handler<S extends TSchema>(
  schema: S,
  answer: (payload: Static<S>) => unknown,
): (payload: unknown) => Promise<unknown> {
  const check = Compile(schema)
  return async (payload) => {
    if (!check.Check(payload)) throw new TypeError('the request is none of this version')
    return answer(payload)
  }
}

function resultOf<S extends TSchema>(
  answer: ClusterAnswer,
  check: Validator<Record<never, never>, S>,
): Static<S> | undefined {
  return answer.ok && check.Check(answer.result) ? answer.result : undefined
}

function closeAt(local: LocalHub, { by, name, reason }: Close): number {
  switch (by) {
    case 'connection':
      return Number(local.close(name, reason))
    case 'user':
      return local.closeUser(name, reason)
    case 'token':
      return local.closeToken(name, reason)
    case 'all':
      return local.closeAll('forced', reason)
  }
}

function byNode(entries: readonly ConnectionEntry[]): Map<string, ConnectionEntry[]> {
  return Map.groupBy(entries, ({ nodeId }) => nodeId)
}

/** As much of a page as goes from node to node. */
function withinMessage({ connections, next }: ConnectionPage): ConnectionPage {
  const fitting: ConnectionView[] = []
  let chars = 0
  for (const view of connections) {
    const whole = JSON.stringify(view).length
    const sent =
      whole > MAX_PAGE_CHARS
        ? { ...view, groups: view.groups.slice(0, SHORTENED_GROUPS), metadata: {} }
        : view
    chars += whole > MAX_PAGE_CHARS ? JSON.stringify(sent).length : whole
    if (chars > MAX_PAGE_CHARS && fitting.length > 0) {
      const last = fitting.at(-1)
      return {
        connections: fitting,
        ...(last === undefined ? {} : { next: `${last.connectedAt}-${last.connectionId}` }),
      }
    }
    fitting.push(sent)
  }
  return { connections: fitting, ...(next === undefined ? {} : { next }) }
}
