import { withQuery } from './api.js'
import { FieldError } from './form-values.js'

/** @import { FormValues } from './form-values.js' */
/** @import { MergeSource } from './source-list.js' */

/**
 * @typedef {object} StreamRequest How a stream is asked for, but for the token.
 * @property {'GET' | 'POST'} method
 * @property {string} path
 * @property {Record<string, string>} [query]
 * @property {unknown} [body]
 */

/**
 * @typedef {object} Inputs
 * @property {FormValues} values
 * @property {() => MergeSource[]} sources
 */

/**
 * @typedef {object} StreamWay One way to a stream: a service has it if it has the route.
 * @property {'GET' | 'POST'} method
 * @property {string} route as the API documents write it
 * @property {(inputs: Inputs) => Omit<StreamRequest, 'method'>} request
 */

/**
 * @typedef {object} StreamKind
 * @property {string} id
 * @property {string} label
 * @property {'Live' | 'Run tasks' | 'Other streams'} group
 * @property {string} about
 * @property {readonly string[]} fields the parts of the form that it needs
 * @property {readonly StreamWay[]} ways the first that the service has is taken
 */

const MANAGED_FIELDS = ['groups', 'sessionId', 'metadata']
const CONNECT = '/api/sse/managed/connect'
const RELAY = '/api/sse-proxy/relay/sse-emitter'

/** @param {string} path @returns {Omit<StreamWay, 'method'>} */
const plain = (path) => ({ route: path, request: () => ({ path }) })

/**
 * A demonstration of the worker: its own GET, or the relay of it where this is the gateway.
 *
 * @param {string} route
 * @param {readonly string[]} parameters
 * @returns {StreamWay[]}
 */
const demonstration = (route, parameters = []) => [
  { method: 'GET', route, request: ({ values }) => ({ path: route, query: values.query(parameters) }) },
  {
    method: 'POST',
    route: RELAY,
    request: ({ values }) => ({
      path: RELAY,
      body: { endpoint: withQuery(route, values.query(parameters)) },
    }),
  },
]

/** @param {FormValues} values */
function managedQuery(values) {
  values.json('metadata', 'The metadata')
  return values.query(MANAGED_FIELDS)
}

/** @param {FormValues} values */
function tasksBody(values) {
  const body = values.json('tasks', 'The list of tasks')
  if (body === undefined) throw new FieldError('tasks', 'The list of tasks is missing.')
  return Array.isArray(body) ? { tasks: body } : body
}

/** @type {readonly StreamKind[]} */
export const STREAM_KINDS = [
  {
    id: 'connect',
    label: 'User',
    group: 'Live',
    about: 'What is sent to you, to your groups and to all.',
    fields: [...MANAGED_FIELDS, 'listen'],
    ways: [
      {
        method: 'GET',
        route: CONNECT,
        request: ({ values }) => ({ path: CONNECT, query: managedQuery(values) }),
      },
    ],
  },
  {
    id: 'group',
    label: 'Group',
    group: 'Live',
    about: 'The same, and a group joined from the start.',
    fields: ['groupId', ...MANAGED_FIELDS, 'listen'],
    ways: [
      {
        method: 'GET',
        route: `${CONNECT}/group/{groupId}`,
        request: ({ values }) => ({
          path: `${CONNECT}/group/${encodeURIComponent(values.required('groupId', 'The group'))}`,
          query: managedQuery(values),
        }),
      },
    ],
  },
  {
    id: 'sample-parallel',
    label: 'Sample: five calls at once',
    group: 'Run tasks',
    about:
      'A worker calls its sample API five times in parallel. One call fails at first and is tried again.',
    fields: [],
    ways: [
      { method: 'GET', ...plain('/api/sse-proxy/reactive/sample-parallel/sse-emitter') },
      { method: 'GET', ...plain('/api/sse/sample-parallel') },
    ],
  },
  {
    id: 'parallel-tasks-progress',
    label: 'Sample: three downloads',
    group: 'Run tasks',
    about: 'Three downloads of different length, with the progress of each.',
    fields: [],
    ways: demonstration('/api/sse/parallel-tasks-progress'),
  },
  {
    id: 'flow-example',
    label: 'Sample: a flow of items',
    group: 'Run tasks',
    about: 'One user of the sample API after the other.',
    fields: ['flow'],
    ways: demonstration('/api/sse/flow-example', ['count', 'intervalMs']),
  },
  {
    id: 'parallel-tasks',
    label: 'Parallel tasks',
    group: 'Run tasks',
    about: 'Your own list of tasks, run by a worker: calls with a "url", or handlers by their name.',
    fields: ['tasks'],
    ways: ['/api/sse-proxy/reactive/parallel-tasks/sse-emitter', '/api/sse/emitter/parallel-tasks'].map(
      (path) => ({
        method: 'POST',
        route: path,
        request: ({ values }) => ({ path, body: tasksBody(values) }),
      }),
    ),
  },
  {
    id: 'hybrid',
    label: 'Local and remote tasks',
    group: 'Run tasks',
    about: 'One run whose tasks are partly done by the gateway, partly by a worker.',
    fields: ['hybrid'],
    ways: [
      {
        method: 'POST',
        route: '/api/sse-integration/hybrid-execution/sse-emitter',
        request: ({ values }) => ({
          path: '/api/sse-integration/hybrid-execution/sse-emitter',
          body: {
            localTasks: values.json('localTasks', 'The list of local tasks') ?? [],
            remoteTasks: values.json('remoteTasks', 'The list of remote tasks') ?? [],
          },
        }),
      },
    ],
  },
  {
    id: 'merge',
    label: 'Merge streams',
    group: 'Other streams',
    about: 'Several streams as one. One that fails or ends does not end the others.',
    fields: ['sources'],
    ways: [
      {
        method: 'POST',
        route: '/api/sse-proxy/merge-streams/sse-emitter',
        request: ({ sources }) => ({ path: '/api/sse-proxy/merge-streams/sse-emitter', body: sources() }),
      },
    ],
  },
  {
    id: 'relay',
    label: 'Relay a stream',
    group: 'Other streams',
    about: 'A stream of a worker, or of an origin that is allowed, read through the gateway.',
    fields: ['relay'],
    ways: [
      {
        method: 'POST',
        route: RELAY,
        request: ({ values }) => {
          const method = values.text('relayMethod')
          const body = values.json('relayBody', 'The body')
          const endpoint = values.required('endpoint', 'The endpoint')
          return { path: RELAY, body: { endpoint, ...(method === '' ? {} : { method }), body } }
        },
      },
    ],
  },
  {
    id: 'run',
    label: 'Watch a run',
    group: 'Other streams',
    about: 'The events of a run from its first, whoever started it.',
    fields: ['runId'],
    ways: [
      {
        method: 'GET',
        route: '/api/runs/{runId}/events',
        request: ({ values }) => ({
          path: `/api/runs/${encodeURIComponent(values.required('runId', 'The run id'))}/events`,
        }),
      },
    ],
  },
]

/** What every stream can be asked for. */
export const COMMON_QUERY = ['events', 'timeout', 'format']
